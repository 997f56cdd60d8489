#include "random/step.h"

#include <fmt/format.h>

#include <cctype>
#include <charconv>
#include <cstdio>
#include <cstdlib>

#include "random/verbs.h"

namespace corral::random {
namespace {

[[noreturn]] void Refuse(std::string_view line, const std::string& why) {
  fmt::print(stderr, "not a step: {}: {}\n", line, why);
  std::exit(2);
}

bool NeedsQuotes(const std::string& word) {
  for (const char c : word) {
    if (c <= ' ' || c == '"' || c == '\\' || c == '#' || c == 0x7f) return true;
  }
  return word.empty();
}

std::string Quoted(const std::string& word) {
  if (!NeedsQuotes(word)) return word;
  std::string text = "\"";
  for (const char c : word) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '\n') {
      text += "\\n";
    } else if (c == '"' || c == '\\') {
      text += {'\\', c};
    } else if (byte < ' ' || byte >= 0x7f) {
      text += fmt::format("\\x{:02x}", byte);
    } else {
      text += c;
    }
  }
  return text + '"';
}

// Takes the escape at the beginning of `rest`, after its backslash.
char Unescape(std::string_view line, std::string_view* rest) {
  if (rest->empty()) Refuse(line, "it ends after a backslash");
  const char kind = rest->front();
  rest->remove_prefix(1);
  if (kind == 'n') return '\n';
  if (kind != 'x') return kind;
  unsigned byte = 0;
  if (rest->size() < 2 ||
      std::from_chars(rest->data(), rest->data() + 2, byte, 16).ptr != rest->data() + 2) {
    Refuse(line, "\\x needs two digits");
  }
  rest->remove_prefix(2);
  return static_cast<char>(byte);
}

std::string TakeQuoted(std::string_view line, std::string_view* rest) {
  std::string word;
  rest->remove_prefix(1);
  while (!rest->empty() && rest->front() != '"') {
    const char c = rest->front();
    rest->remove_prefix(1);
    word += c == '\\' ? Unescape(line, rest) : c;
  }
  if (rest->empty()) Refuse(line, "a quote is not closed");
  rest->remove_prefix(1);
  return word;
}

std::vector<std::string> Words(std::string_view line) {
  std::vector<std::string> words;
  std::string_view rest = line;
  for (;;) {
    rest.remove_prefix(std::min(rest.find_first_not_of(" \t\r"), rest.size()));
    if (rest.empty() || rest.front() == '#') return words;
    if (rest.front() == '"') {
      words.push_back(TakeQuoted(line, &rest));
      continue;
    }
    const std::size_t end = std::min(rest.find_first_of(" \t\r"), rest.size());
    words.emplace_back(rest.substr(0, end));
    rest.remove_prefix(end);
  }
}

}  // namespace

std::string Format(const Step& step) {
  std::string line = step.uid == 0 ? "" : fmt::format("as {} ", step.uid);
  line += step.verb;
  for (const std::string& arg : step.args) line += " " + Quoted(arg);
  return line;
}

std::string Format(const Script& script) {
  std::string text;
  for (const Step& step : script) text += Format(step) + "\n";
  return text;
}

std::optional<Step> ParseLine(std::string_view line) {
  std::vector<std::string> words = Words(line);
  if (words.empty()) return std::nullopt;
  Step step;
  if (words.size() > 2 && words[0] == "as") {
    step.uid = static_cast<unsigned>(std::atoi(words[1].c_str()));
    words.erase(words.begin(), words.begin() + 2);
  }
  step.verb = words[0];
  step.args.assign(words.begin() + 1, words.end());
  const Verb* verb = FindVerb(step.verb);
  if (!verb) Refuse(line, "unknown verb " + step.verb);
  if (step.args.size() != verb->args) Refuse(line, fmt::format("{} arguments wanted", verb->args));
  return step;
}

Script ParseScript(std::string_view text) {
  Script script;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    if (auto step = ParseLine(text.substr(0, end))) script.push_back(std::move(*step));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return script;
}

std::string Substitute(
    std::string_view text,
    const std::function<std::optional<std::string>(const std::string&)>& lookup) {
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    std::size_t end = at + 1;
    while (text[at] == '%' && end < text.size() &&
           std::isalnum(static_cast<unsigned char>(text[end]))) {
      ++end;
    }
    const auto known =
        end > at + 1 ? lookup(std::string(text.substr(at + 1, end - at - 1))) : std::nullopt;
    out += known ? *known : std::string(text.substr(at, end - at));
    at = end;
  }
  return out;
}

}  // namespace corral::random
