// What corral says to people and to programs: lines, aligned tables, JSON, error sentences. All
// that a command writes goes through here (a test looks for others), because here it is made
// harmless: whatever name is in it, it drives no terminal and begins no line (base/text.h).
#ifndef CORRAL_CLI_OUTPUT_H_
#define CORRAL_CLI_OUTPUT_H_

#include <corral/result.h>

#include <cstdio>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "wire/fields.h"

namespace corral::cli {

// Documented in corral(1). `run` and `exec` end with their command's status instead; what fails
// before the command could run is one of the last three, as with env(1) and timeout(1).
enum Exit {
  kOk = 0,
  kFailed = 1,
  kUsage = 2,
  kNoDaemon = 3,
  kRunFailed = 125,
  kNotExecutable = 126,
  kNotFound = 127,
};

// Rows of cells, columns as wide as their widest cell; the last one is not padded.
class Table {
 public:
  explicit Table(std::vector<std::string> header) { Add(std::move(header)); }
  void Add(std::vector<std::string> row);
  // A line of its own after the rows so far; no column is wider for it.
  void AddLine(const std::string& line);
  void Print() const;

 private:
  std::set<std::size_t> lines_;  // which rows are such lines
  std::vector<std::vector<std::string>> rows_;
};

// One line on standard output.
void Print(std::string_view line);

// `corral: SENTENCE` on standard error.
void Say(std::string_view sentence);

// Says what went wrong; the exit code that belongs to it.
int Complain(const Error& error);

// One JSON value on standard output; only ASCII, all other characters as \uNNNN.
void PrintJson(const nlohmann::json& value);

// A message as JSON.
nlohmann::json JsonOf(wire::AnyMessage message);

// Bytes as JSON text; null where there are none.
nlohmann::json JsonOf(const std::optional<std::string>& bytes);

// A JSON value as text, on one line.
std::string JsonText(const nlohmann::json& value);

// An object with long lists, written while they are gone through: it is never there as a whole.
//
//   JsonWriter out;
//   out.Begin("tasks");        // the list of this name
//   out.Item({{"tid", 1}});    // one on a line
//   out.End();
//   out.Member("path", "/a");
class JsonWriter {
 public:
  JsonWriter() { Put("{"); }
  ~JsonWriter();
  JsonWriter(const JsonWriter&) = delete;
  JsonWriter& operator=(const JsonWriter&) = delete;

  void Member(const char* name, const nlohmann::json& value);
  void Begin(const char* list);
  void Item(const nlohmann::json& item);
  // JSON already: a hundred thousand take a fifth of the time.
  void ItemText(std::string_view text);
  // An item that has these members and then a list.
  void BeginItem(const nlohmann::json& members, const char* list);
  void End();  // of the list, and of the item it is in

 private:
  void Next();
  void Put(std::string_view text);

  std::string closing_;  // what ends the lists that have begun, innermost last
  bool first_ = true;    // in what began last
};

// One JSON value on one line, at once.
void PrintJsonLine(std::FILE* to, const nlohmann::json& value);

// "1 process", "2 processes"
std::string Counted(std::size_t count, std::string_view one, std::string_view many);

}  // namespace corral::cli

#endif  // CORRAL_CLI_OUTPUT_H_
