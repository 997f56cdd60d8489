// Mapping: owns shared memory that is mapped here, and unmaps it. What is const is mapped for
// reading only. One owner; what it points to is for any thread, as far as the words allow it.
//
//   auto words = TRY(MapShared<const std::uint64_t>(fd, bytes, "the table of words"));
//   auto tally = TRY(MapShared<Tally>(-1, sizeof(Tally), "a tally"));  // zeros; forks share it
//   words[tid]; tally->births;
#ifndef CORRAL_BASE_MAPPING_H_
#define CORRAL_BASE_MAPPING_H_

#include <sys/mman.h>

#include <cstddef>
#include <string_view>
#include <type_traits>
#include <utility>

#include "base/errors.h"

namespace corral {

template <typename T>
class Mapping {
 public:
  Mapping() = default;
  Mapping(T* at, std::size_t bytes) : at_(at), bytes_(bytes) {}  // takes it over
  Mapping(Mapping&& other) noexcept
      : at_(std::exchange(other.at_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}
  Mapping& operator=(Mapping&& other) noexcept {
    std::swap(at_, other.at_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~Mapping() {
    if (at_) ::munmap(const_cast<std::remove_const_t<T>*>(at_), bytes_);
  }

  T* get() const { return at_; }
  T& operator*() const { return *at_; }
  T* operator->() const { return at_; }
  T& operator[](std::size_t i) const { return at_[i]; }
  explicit operator bool() const { return at_ != nullptr; }

 private:
  T* at_ = nullptr;  // null: nothing is mapped
  std::size_t bytes_ = 0;
};

// The first `bytes` of what `fd` is open on, shared with all who map it; -1: memory of no file.
// Else the errno of mmap(2) and "cannot map {what}".
template <typename T>
Result<Mapping<T>> MapShared(int fd, std::size_t bytes, std::string_view what) {
  const int protection = std::is_const_v<T> ? PROT_READ : PROT_READ | PROT_WRITE;
  const int flags = MAP_SHARED | (fd < 0 ? MAP_ANONYMOUS : 0);
  void* const at = ::mmap(nullptr, bytes, protection, flags, fd, 0);
  if (at == MAP_FAILED) return FailErrno("cannot map {}", what);
  return Mapping<T>(static_cast<T*>(at), bytes);
}

}  // namespace corral

#endif  // CORRAL_BASE_MAPPING_H_
