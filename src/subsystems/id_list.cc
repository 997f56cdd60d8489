#include "subsystems/id_list.h"

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <limits>
#include <utility>

#include "base/errors.h"
#include "base/number.h"

namespace corral {

IdSet::IdSet(Words words) : words_(std::move(words)) { Trim(); }

void IdSet::Trim() {
  while (!words_.empty() && words_.back() == 0) words_.pop_back();
}

void IdSet::Add(std::size_t number) {
  if (number >= end()) words_.resize(number / kWordBits + 1);
  words_[number / kWordBits] |= std::uint64_t{1} << number % kWordBits;
}

bool IdSet::Has(std::size_t number) const {
  return number < end() && (words_[number / kWordBits] >> number % kWordBits & 1) != 0;
}

IdSet IdSet::operator&(const IdSet& other) const {
  Words both(std::min(words_.size(), other.words_.size()));
  for (std::size_t i = 0; i < both.size(); ++i) both[i] = words_[i] & other.words_[i];
  return IdSet(std::move(both));
}

IdSet IdSet::operator-(const IdSet& other) const {
  Words left = words_;
  for (std::size_t i = 0; i < std::min(left.size(), other.words_.size()); ++i) {
    left[i] &= ~other.words_[i];
  }
  return IdSet(std::move(left));
}

namespace {

bool IsSeparator(char c) { return c == ',' || corral::Trim(std::string_view(&c, 1)).empty(); }

// One region after the other, from the front of `left_`.
class Parser {
 public:
  Parser(std::string_view text, std::size_t numbers) : left_(text), numbers_(numbers) {}

  Result<IdSet> Parse() {
    IdSet set;
    for (;;) {
      while (!left_.empty() && IsSeparator(left_.front())) left_.remove_prefix(1);
      if (left_.empty()) return set;
      TRY(AddRegion(&set));
    }
  }

 private:
  bool Take(char c) {
    if (!left_.starts_with(c)) return false;
    left_.remove_prefix(1);
    return true;
  }
  bool AtEnd() const { return left_.empty() || IsSeparator(left_.front()); }

  bool TakeAll() {
    constexpr std::string_view kAll = "all";
    const bool all = std::ranges::equal(left_.substr(0, kAll.size()), kAll,
                                        [](char a, char b) { return (a | 0x20) == b; });
    if (all) left_.remove_prefix(kAll.size());
    return all;
  }

  Result<std::uint64_t> Number() {
    if (Take('N')) return numbers_ - 1;
    const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
    if (left_.empty() || !is_digit(left_.front())) {
      return Fail(EINVAL, "no number at '{}'", left_);
    }
    std::uint64_t value = 0;
    for (; !left_.empty() && is_digit(left_.front()); left_.remove_prefix(1)) {
      value = value * 10 + static_cast<std::uint64_t>(left_.front() - '0');
      if (value > std::numeric_limits<std::uint32_t>::max()) {
        return Fail(EOVERFLOW, "a number beyond 32 bits");
      }
    }
    return value;
  }

  Result<void> AddRegion(IdSet* set) {
    std::uint64_t first = 0, last = numbers_ - 1, used = 1, group = 1;
    bool range = TakeAll();
    if (!range) {
      first = last = TRY(Number());
      if ((range = Take('-'))) last = TRY(Number());
    }
    if (range && Take(':')) {
      used = TRY(Number());
      if (!Take('/')) return Fail(EINVAL, "no group after ':{}'", used);
      group = TRY(Number());
    }
    if (!AtEnd()) return Fail(EINVAL, "not part of a list: '{}'", left_);
    if (first > last) return Fail(EINVAL, "{}-{} goes backwards", first, last);
    if (group == 0 || used > group) return Fail(EINVAL, "no such share: {}/{}", used, group);
    if (last >= numbers_) return Fail(ERANGE, "there is no {}: only 0-{}", last, numbers_ - 1);
    for (std::uint64_t i = first; i <= last; ++i) {
      if ((i - first) % group < used) set->Add(i);
    }
    return {};
  }

  std::string_view left_;
  const std::size_t numbers_;
};

}  // namespace

Result<IdSet> ParseIdList(std::string_view text, std::size_t numbers) {
  text = Trim(UpToNul(text));
  return Parser(text.substr(0, text.find('\n')), numbers).Parse();
}

std::string FormatIdList(const IdSet& set) {
  std::string text;
  for (std::size_t first = 0; first < set.end(); ++first) {
    if (!set.Has(first)) continue;
    std::size_t last = first;
    while (set.Has(last + 1)) ++last;
    if (!text.empty()) text += ',';
    text += first == last ? fmt::format("{}", first) : fmt::format("{}-{}", first, last);
    first = last;
  }
  return text;
}

}  // namespace corral
