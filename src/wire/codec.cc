#include "wire/codec.h"

#include <cerrno>
#include <nlohmann/json.hpp>

#include "wire/bytes.h"
#include "wire/messages.h"

namespace corral::wire {
namespace {

using nlohmann::json;

class Writer final : public Fields {
 public:
  explicit Writer(json& object) : path_{&object} {}

 private:
  json& here() { return *path_.back(); }

  bool reads() const override { return false; }
  bool Enter(const char* name, bool /*required*/) override {
    path_.push_back(&here()[name]);
    return true;
  }
  bool EnterItem(std::size_t /*at*/) override {
    here().push_back(nullptr);
    path_.push_back(&here().back());
    return true;
  }
  void Leave() override { path_.pop_back(); }
  bool IsNull() const override { return false; }
  void PutNull() override { here() = nullptr; }
  std::size_t Size() override { return 0; }
  void Resize(std::size_t /*size*/) override {
    if (!here().is_array()) here() = json::array();
  }
  void Go(bool& value) override { here() = value; }
  void Go(std::uint64_t& value) override { here() = value; }
  void Go(std::int64_t& value) override { here() = value; }
  void Go(std::string& value) override { here() = ToJsonText(value); }

  std::vector<json*> path_;  // from the object down to where we are
};

// After the first error nothing more is entered.
class Reader final : public Fields {
 public:
  explicit Reader(const json& object) : path_{&object} {}

  Result<void> Outcome() const {
    if (wrong_.empty()) return {};
    return Fail(EPROTO, "{}", wrong_);
  }

 private:
  const json& here() const { return *path_.back(); }

  bool reads() const override { return true; }
  bool Enter(const char* name, bool required) override {
    if (!wrong_.empty()) return false;
    if (!here().is_object()) return Wrong("is no object");
    const auto member = here().find(name);
    if (member == here().end() && !required) return false;
    name_ = name;
    if (member == here().end()) return Wrong("is missing");
    path_.push_back(&*member);
    return true;
  }
  bool EnterItem(std::size_t at) override {
    if (!wrong_.empty() || !here().is_array()) return false;
    if (at >= here().size()) return Wrong("is too short");
    path_.push_back(&here()[at]);
    return true;
  }
  void Leave() override { path_.pop_back(); }
  bool IsNull() const override { return here().is_null(); }
  void PutNull() override {}
  std::size_t Size() override {
    if (here().is_array()) return here().size();
    Wrong("is no list");
    return 0;
  }
  void Resize(std::size_t /*size*/) override { (void)Size(); }

  void Go(bool& value) override {
    if (!here().is_boolean()) return void(Wrong("is neither true nor false"));
    value = here().get<bool>();
  }
  // What get<>() would convert is refused: a fraction, one below 0, one beyond 64 bits.
  void Go(std::uint64_t& value) override {
    if (!here().is_number_unsigned()) return void(Wrong("is no whole number from 0 to 2^64-1"));
    value = here().get<std::uint64_t>();
  }
  void Go(std::int64_t& value) override {
    if (!here().is_number_integer()) return void(Wrong("is no whole number"));
    if (here().is_number_unsigned() && here().get<std::uint64_t>() > INT64_MAX) {
      return void(Wrong("is beyond 2^63-1"));
    }
    value = here().get<std::int64_t>();
  }
  void Go(std::string& value) override {
    if (!here().is_string()) return void(Wrong("is no text"));
    value = FromJsonText(here().get_ref<const std::string&>());
  }

  bool Wrong(const char* what) {
    if (wrong_.empty()) wrong_ = fmt::format("'{}' {}", name_, what);
    return false;
  }

  std::vector<const json*> path_;
  std::string name_ = "message";  // of the last member that was entered
  std::string wrong_;
};

}  // namespace

void Write(AnyMessage message, json& object) {
  Writer writer(object);
  message.Visit(writer);
}

Result<void> Read(const json& object, AnyMessage message) {
  Reader reader(object);
  message.Visit(reader);
  return reader.Outcome();
}

std::string RequestText(const char* op, AnyMessage ask) {
  json request = {{"op", op}};
  Write(ask, request);
  return TextOf(request);
}

Result<json> ParseAnswer(std::string_view text) {
  json answer = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!answer.is_object() || !answer.contains("ok") || !answer["ok"].is_boolean()) {
    return Fail(EPROTO, "the daemon's answer is not in the protocol of this version");
  }
  if (answer["ok"].get<bool>()) return answer;
  Refusal refusal;  // what of it cannot be read stays as it is
  (void)Read(answer, refusal);
  return Fail(static_cast<int>(refusal.code), "{}", refusal.text);
}

std::string TextOf(const json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

}  // namespace corral::wire
