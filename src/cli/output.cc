#include "cli/output.h"

#include <cerrno>
#include <cstdio>

#include "client/bytes.h"

namespace corral::cli {
namespace {

// Columns a UTF-8 text takes, near enough: its characters.
std::size_t Width(std::string_view text) {
  std::size_t width = 0;
  for (const char c : text) width += (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  return width;
}

// A sentence may hold a name from an error of the daemon's.
std::string WithoutControl(std::string_view text) {
  std::string harmless;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7F) {
      harmless += fmt::format("\\x{:02x}", byte);
    } else {
      harmless += c;
    }
  }
  return harmless;
}

}  // namespace

void Table::AddLine(std::string line) {
  lines_.insert(rows_.size());
  rows_.push_back({std::move(line)});
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
    std::puts(line.c_str());
  }
}

void Say(std::string_view sentence) {
  std::fflush(stdout);
  std::fprintf(stderr, "corral: %s\n", WithoutControl(sentence).c_str());
}

int Complain(const Error& error) {
  Say(error.message);
  return error.code == ECONNREFUSED ? kNoDaemon : kFailed;
}

void PrintJson(const nlohmann::json& value) {
  using nlohmann::json;
  std::puts(value.dump(2, ' ', false, json::error_handler_t::replace).c_str());
}

void PrintJsonLine(std::FILE* to, const nlohmann::json& value) {
  using nlohmann::json;
  std::fprintf(to, "%s\n", value.dump(-1, ' ', false, json::error_handler_t::replace).c_str());
  std::fflush(to);
}

std::string Text(const nlohmann::json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? FromJsonText(found->get<std::string>()) : "";
}

std::string Shown(const nlohmann::json& object, const char* key) {
  return Printable(Text(object, key));
}

std::int64_t Number(const nlohmann::json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_number() ? found->get<std::int64_t>() : 0;
}

bool Flag(const nlohmann::json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_boolean() && found->get<bool>();
}

const nlohmann::json& List(const nlohmann::json& object, const char* key) {
  static const nlohmann::json kEmpty = nlohmann::json::array();
  const auto found = object.find(key);
  return found != object.end() && found->is_array() ? *found : kEmpty;
}

std::string Counted(std::size_t count, std::string_view one, std::string_view many) {
  return fmt::format("{} {}", count, count == 1 ? one : many);
}

}  // namespace corral::cli
