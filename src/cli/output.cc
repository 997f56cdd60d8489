#include "cli/output.h"

#include <cerrno>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "wire/bytes.h"
#include "wire/codec.h"

namespace corral::cli {
namespace {

// Columns a UTF-8 text takes, near enough: its characters.
std::size_t Width(std::string_view text) {
  std::size_t width = 0;
  for (const char c : text) width += (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  return width;
}

// Escaped: ASCII alone, so that no terminal acts on it. A reader of JSON gets the same text.
std::string JsonLine(const nlohmann::json& value, int indent) {
  using nlohmann::json;
  return value.dump(indent, ' ', /*ensure_ascii=*/true, json::error_handler_t::replace);
}

}  // namespace

void Print(std::string_view line) {
  const std::string text = Harmless(line) + '\n';
  std::fwrite(text.data(), 1, text.size(), stdout);
}

void Table::Add(std::vector<std::string> row) {
  for (std::string& cell : row) cell = Harmless(cell);
  rows_.push_back(std::move(row));
}

void Table::AddLine(const std::string& line) {
  lines_.insert(rows_.size());
  rows_.push_back({Harmless(line)});
}

void Table::Print() const {
  std::vector<std::size_t> widths;
  for (std::size_t at = 0; at < rows_.size(); ++at) {
    if (lines_.contains(at)) continue;
    const auto& row = rows_[at];
    if (widths.size() < row.size()) widths.resize(row.size());
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], Width(row[i]));
  }
  for (const auto& row : rows_) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      line += row[i];
      if (i + 1 < row.size()) line.append(widths[i] - Width(row[i]) + 2, ' ');
    }
    line.erase(line.find_last_not_of(' ') + 1);
    line += '\n';
    std::fwrite(line.data(), 1, line.size(), stdout);
  }
}

void Say(std::string_view sentence) {
  std::fflush(stdout);
  std::fprintf(stderr, "corral: %s\n", Harmless(sentence).c_str());
}

int Complain(const Error& error) {
  Say(error.message);
  return error.code == ECONNREFUSED ? kNoDaemon : kFailed;
}

void PrintJson(const nlohmann::json& value) { std::puts(JsonLine(value, 2).c_str()); }

nlohmann::json JsonOf(wire::AnyMessage message) {
  nlohmann::json object = nlohmann::json::object();
  wire::Write(message, object);
  return object;
}

nlohmann::json JsonOf(const std::optional<std::string>& bytes) {
  return bytes ? nlohmann::json(ToJsonText(*bytes)) : nlohmann::json(nullptr);
}

std::string JsonText(const nlohmann::json& value) { return JsonLine(value, -1); }

void JsonWriter::Put(std::string_view text) { std::fwrite(text.data(), 1, text.size(), stdout); }

void JsonWriter::Next() {
  if (!first_) Put(",");
  first_ = false;
  Put("\n");
  for (std::size_t i = 0; i < closing_.size() + 1; ++i) Put("  ");
}

void JsonWriter::Member(const char* name, const nlohmann::json& value) {
  Next();
  Put(fmt::format("\"{}\": {}", name, JsonText(value)));
}

void JsonWriter::Begin(const char* list) {
  Next();
  Put(fmt::format("\"{}\": [", list));
  closing_ += ']';
  first_ = true;
}

void JsonWriter::Item(const nlohmann::json& item) { ItemText(JsonText(item)); }

void JsonWriter::ItemText(std::string_view text) {
  Next();
  Put(text);
}

void JsonWriter::BeginItem(const nlohmann::json& members, const char* list) {
  Next();
  Put("{");
  closing_ += '}';
  first_ = true;
  for (const auto& [name, value] : members.items()) Member(name.c_str(), value);
  Begin(list);
}

void JsonWriter::End() {
  Put({&closing_.back(), 1});
  closing_.pop_back();
  if (closing_.ends_with('}')) {
    Put("}");
    closing_.pop_back();
  }
  first_ = false;
}

JsonWriter::~JsonWriter() { Put("\n}\n"); }

void PrintJsonLine(std::FILE* to, const nlohmann::json& value) {
  std::fprintf(to, "%s\n", JsonLine(value, -1).c_str());
  std::fflush(to);
}

std::string Counted(std::size_t count, std::string_view one, std::string_view many) {
  return fmt::format("{} {}", count, count == 1 ? one : many);
}

}  // namespace corral::cli
