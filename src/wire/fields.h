// Fields: the one codec of the messages (messages.h). A message names its fields once, in Visit();
// what goes through them either writes them as JSON or reads and checks them (codec.h).
//
//   struct Mkdir {
//     std::string name;
//     bool fresh = false;
//     void Visit(Fields& f) {
//       f("name", name);            // must be there
//       f.Maybe("fresh", fresh);    // may be missing: then it is as it was
//     }
//   };
//
// A field is a bool, a whole number, a string, another message, or a list of these. Strings are
// bytes (bytes.h). An std::optional is null where it is empty, or missing if it is a Maybe().
#ifndef CORRAL_WIRE_FIELDS_H_
#define CORRAL_WIRE_FIELDS_H_

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace corral::wire {

class Fields;

template <typename T>
concept Message = requires(T message, Fields& fields) {
  message.Visit(fields);
};

class Fields {
 public:
  template <typename T>
  void operator()(const char* name, T& field) {
    if (!Enter(name, /*required=*/true)) return;
    Go(field);
    Leave();
  }

  template <typename T>
  void Maybe(const char* name, T& field) {
    if (!Enter(name, /*required=*/false)) return;
    Go(field);
    Leave();
  }
  template <typename T>
  void Maybe(const char* name, std::optional<T>& field) {
    if (!reads() && !field) return;
    if (!Enter(name, /*required=*/false)) return;
    if (reads()) field.emplace();
    Go(*field);
    Leave();
  }

  // A message that is a row, [1, "a", null], and not an object.
  template <typename... T>
  void Row(T&... cells) {
    Resize(sizeof...(cells));
    std::size_t at = 0;
    (Cell(at++, cells), ...);
  }

 protected:
  virtual ~Fields() = default;

  virtual bool reads() const = 0;
  // Goes to a member, or to an item of a list. False: there is none, or something was wrong before.
  virtual bool Enter(const char* name, bool required) = 0;
  virtual bool EnterItem(std::size_t at) = 0;
  virtual void Leave() = 0;
  // Where we are: null; a list, of so many items if it is read or is to have them.
  virtual bool IsNull() const = 0;
  virtual void PutNull() = 0;
  virtual std::size_t Size() = 0;
  virtual void Resize(std::size_t size) = 0;

  virtual void Go(bool& value) = 0;
  virtual void Go(std::uint64_t& value) = 0;
  virtual void Go(std::int64_t& value) = 0;
  virtual void Go(std::string& value) = 0;

 private:
  template <Message T>
  void Go(T& message) {
    message.Visit(*this);
  }
  template <typename T>
  void Go(std::optional<T>& value) {
    if (reads() ? IsNull() : !value) {
      value.reset();
      return PutNull();
    }
    if (reads()) value.emplace();
    Go(*value);
  }
  template <typename T>
  void Go(std::vector<T>& list) {
    reads() ? list.resize(Size()) : Resize(list.size());
    std::size_t at = 0;
    for (T& item : list) Cell(at++, item);
  }
  template <typename T>
  void Cell(std::size_t at, T& item) {
    if (!EnterItem(at)) return;
    Go(item);
    Leave();
  }
};

// Any message, for who only hands it on. It stays the caller's.
class AnyMessage {
 public:
  template <Message T>
  AnyMessage(T& message)  // NOLINT: as a reference is
      : message_(&message), visit_([](void* at, Fields& f) { static_cast<T*>(at)->Visit(f); }) {}
  // To be written: nothing of it is changed then.
  template <Message T>
  AnyMessage(const T& message) : AnyMessage(const_cast<T&>(message)) {}  // NOLINT

  void Visit(Fields& fields) const { visit_(message_, fields); }

 private:
  void* message_;
  void (*visit_)(void*, Fields&);
};

}  // namespace corral::wire

#endif  // CORRAL_WIRE_FIELDS_H_
