// RowWriter, RowReader: the bytes of a journal's row. Numbers are big-endian, so that keys sort as
// their numbers do; texts have their length before them. A reader that runs out, or has too much,
// says so once at the end: rows come from a file that may be damaged.
#ifndef CORRAL_CORE_ROW_BYTES_H_
#define CORRAL_CORE_ROW_BYTES_H_

#include <corral/cpu_meter.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace corral {

class RowWriter {
 public:
  RowWriter& Number(std::uint64_t value) {
    for (int shift = 56; shift >= 0; shift -= 8) bytes_ += static_cast<char>(value >> shift);
    return *this;
  }
  RowWriter& Text(std::string_view text) {
    Number(text.size());
    bytes_ += text;
    return *this;
  }
  RowWriter& Time(const CpuTime& time) {
    return Number(time.total).Number(time.user).Number(time.system);
  }
  std::string Take() { return std::move(bytes_); }

 private:
  std::string bytes_;
};

class RowReader {
 public:
  explicit RowReader(std::string_view bytes) : rest_(bytes) {}

  std::uint64_t Number() {
    std::uint64_t value = 0;
    for (const char byte : Bytes(8)) value = value << 8 | static_cast<unsigned char>(byte);
    return value;
  }
  // The number of things that follow, each of at least 8 bytes.
  std::uint64_t Count() {
    const std::uint64_t count = Number();
    if (count <= rest_.size() / 8) return count;
    good_ = false;
    return 0;
  }
  std::string Text() { return std::string(Bytes(Number())); }
  CpuTime Time() {
    CpuTime time;
    time.total = Number();
    time.user = Number();
    time.system = Number();
    return time;
  }
  bool good() const { return good_ && rest_.empty(); }

 private:
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
