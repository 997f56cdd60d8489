// A subsystem in a shared object: every group has a colour.
//
//   colour.name    read: the colour, a line. write: white, green, blue or red (else EINVAL).
//   colour.moved   how many tasks were moved into the group
//
// A new group has its parent's colour. A red group takes no task (EPERM); those in it stay, and
// their children are born there.
#include <corral/plugin.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>

namespace {

using corral::Css;
using corral::Fail;
using corral::FileUse;
using corral::Result;

constexpr std::array<std::string_view, 4> kColours = {"white", "green", "blue", "red"};
constexpr std::size_t kRed = 3;

// Files are read and written while the rest of the machine goes on: atomics are enough here.
struct Colour final : Css {
  std::atomic<std::size_t> colour = 0;
  std::atomic<std::uint64_t> moved = 0;
};

Colour& Of(Css& css) { return static_cast<Colour&>(css); }

Result<std::string> ReadName(FileUse& use) {
  return std::string(kColours[Of(*use.css).colour]) + "\n";
}

Result<void> WriteName(FileUse& use, std::string_view bytes) {
  while (bytes.ends_with('\n')) bytes.remove_suffix(1);
  const auto known = std::find(kColours.begin(), kColours.end(), bytes);
  if (known == kColours.end()) return Fail(EINVAL, "'{}' is no colour", bytes);
  Of(*use.css).colour = static_cast<std::size_t>(known - kColours.begin());
  return {};
}

class ColourSubsystem final : public corral::Subsystem {
 public:
  std::string_view name() const override { return "colour"; }

  std::vector<corral::SubsystemFile> Files() override {
    return {{.name = "name", .read = ReadName, .write = WriteName},
            {.name = "moved", .number = [](FileUse& use) -> Result<std::uint64_t> {
               return Of(*use.css).moved.load();
             }}};
  }

  Result<std::unique_ptr<Css>> Create(const corral::NewCss& of) override {
    auto made = std::make_unique<Colour>();
    if (of.parent && of.inherits) made->colour = Of(*of.parent).colour.load();
    return made;
  }

  Result<void> CanAttach(Css& to, Css&, corral::Tid task) override {
    if (Of(to).colour != kRed) return {};
    return Fail(EPERM, "task {}: the group is red", task.value);
  }

  void Attach(Css& to, Css&, corral::Tid) override { ++Of(to).moved; }
};

}  // namespace

CORRAL_PLUGIN([] { return std::make_shared<ColourSubsystem>(); })
