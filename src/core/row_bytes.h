// RowWriter, RowReader: the bytes of a journal's row. Both have the same methods, so that one
// function can say for both what a row consists of (rows.h).
//
// Numbers and ids are 8 bytes, big-endian, so that keys sort as their numbers do; texts and lists
// have their length before them. A reader that runs out, or has too much, says so once at the end:
// rows come from a file that may be damaged.
//
//   template <typename IO> void Fields(IO& io, auto& job) {
//     io.Text(job.name);
//     io.Bits(job.hidden, job.done);
//     io.List(job.steps, [&](auto& step) { io.Number(step); });
//   }
//   RowWriter writer;             RowReader reader(bytes);
//   Fields(writer, job);          Fields(reader, job);
//   writer.Take();                if (!reader.good()) ...
#ifndef CORRAL_CORE_ROW_BYTES_H_
#define CORRAL_CORE_ROW_BYTES_H_

#include <corral/cpu_meter.h>
#include <time.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace corral {

// For what is not there: no user, no group, no mode and no part of a second is this number.
inline constexpr std::uint32_t kNothing = UINT32_MAX;

class RowWriter {
 public:
  static constexpr bool kReads = false;

  void Number(std::uint64_t value) {
    for (int shift = 56; shift >= 0; shift -= 8) bytes_ += static_cast<char>(value >> shift);
  }
  template <typename T>
  void Id(const T& id) {
    Number(id.value);
  }
  void Text(std::string_view text) {
    Number(text.size());
    bytes_ += text;
  }
  void Time(const CpuTime& time) {
    Number(time.total);
    Number(time.user);
    Number(time.system);
  }
  template <typename T>
  void Optional(const std::optional<T>& value) {
    Number(value ? *value : kNothing);
  }
  void Optional(const std::optional<timespec>& time) {
    Number(time ? static_cast<std::uint64_t>(time->tv_sec) : 0);
    Number(time ? static_cast<std::uint64_t>(time->tv_nsec) : kNothing);
  }
  // One number of all of them, the first one its lowest bit.
  template <typename... Bit>
  void Bits(const Bit&... bits) {
    std::uint64_t packed = 0;
    int at = 0;
    ((packed |= std::uint64_t{bits} << at++), ...);
    Number(packed);
  }
  template <typename T, typename Fn>
  void List(const std::vector<T>& all, Fn each) {
    Number(all.size());
    for (const T& one : all) each(one);
  }

  std::string Take() { return std::move(bytes_); }

 private:
  std::string bytes_;
};

class RowReader {
 public:
  static constexpr bool kReads = true;

  explicit RowReader(std::string_view bytes) : rest_(bytes) {}

  template <typename T>
  void Number(T& value) {
    value = static_cast<T>(Next());
  }
  template <typename T>
  void Id(T& id) {
    Number(id.value);
  }
  void Text(std::string& text) { text = Bytes(Next()); }
  void Time(CpuTime& time) {
    Number(time.total);
    Number(time.user);
    Number(time.system);
  }
  template <typename T>
  void Optional(std::optional<T>& value) {
    const auto number = static_cast<std::uint32_t>(Next());
    value = number == kNothing ? std::nullopt : std::optional<T>(number);
  }
  void Optional(std::optional<timespec>& time) {
    const auto seconds = static_cast<time_t>(Next());
    std::optional<std::uint32_t> rest;
    Optional(rest);
    if (rest) time = timespec{seconds, static_cast<long>(*rest)};
  }
  template <typename... Bit>
  void Bits(Bit&... bits) {
    const std::uint64_t packed = Next();
    int at = 0;
    ((bits = (packed >> at++ & 1) != 0), ...);
  }
  template <typename T, typename Fn>
  void List(std::vector<T>& all, Fn each) {
    for (std::uint64_t left = Count(); left != 0; --left) each(all.emplace_back());
  }

  bool good() const { return good_ && rest_.empty(); }

 private:
  std::uint64_t Next() {
    std::uint64_t value = 0;
    for (const char byte : Bytes(8)) value = value << 8 | static_cast<unsigned char>(byte);
    return value;
  }
  // The number of things that follow, each of at least 8 bytes.
  std::uint64_t Count() {
    const std::uint64_t count = Next();
    if (count <= rest_.size() / 8) return count;
    good_ = false;
    return 0;
  }
  std::string_view Bytes(std::uint64_t count) {
    if (count > rest_.size()) {
      good_ = false;
      rest_ = {};
      return {};
    }
    const std::string_view bytes = rest_.substr(0, count);
    rest_.remove_prefix(count);
    return bytes;
  }

  std::string_view rest_;
  bool good_ = true;
};

}  // namespace corral

#endif  // CORRAL_CORE_ROW_BYTES_H_
