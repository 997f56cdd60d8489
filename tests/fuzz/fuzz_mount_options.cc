// The text after -o of a mount (spec 3.2 to 3.5).
#include <algorithm>
#include <cerrno>
#include <string>
#include <string_view>

#include "base/check.h"
#include "daemon/mount_options.h"

namespace corral {
namespace {

bool GoodName(std::string_view name) {
  constexpr std::string_view kAllowed =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-";
  return !name.empty() && name.size() <= 63 && name.find_first_not_of(kAllowed) == name.npos;
}

void Check(const std::string& text) {
  const auto options = ParseMountOptions(text);
  // Empty tokens are ignored, wherever they are (spec 3.2).
  const auto padded = ParseMountOptions("," + text + ",,");
  CORRAL_CHECK(options.has_value() == padded.has_value());
  // An unknown one is never ignored.
  const auto bogus = ParseMountOptions(text + ",no such option");
  CORRAL_CHECK(!bogus && bogus.error().code == EINVAL);
  if (!options) {
    CORRAL_CHECK(options.error().code == EINVAL && !options.error().message.empty());
    return;
  }
  CORRAL_CHECK(options->name == padded->name && options->none == padded->none);
  CORRAL_CHECK(options->release_agent == padded->release_agent);
  if (options->name) {
    CORRAL_CHECK(GoodName(*options->name));
    CORRAL_CHECK(!ParseMountOptions(text + ",name=again"));  // given twice
  }
  const bool ignores_names = options->dialect && options->dialect->one_hierarchy;
  if (options->none && !ignores_names) CORRAL_CHECK(options->name.has_value());
}

}  // namespace
}  // namespace corral

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  corral::Check(std::string(reinterpret_cast<const char*>(data), size));
  return 0;
}
