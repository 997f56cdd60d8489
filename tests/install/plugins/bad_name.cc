// A name that no subsystem can have.
#include <corral/plugin.h>
namespace {
class Odd final : public corral::Subsystem {
  std::string_view name() const override { return "Odd Name"; }
  corral::Result<std::unique_ptr<corral::Css>> Create(const corral::NewCss&) override {
    return std::make_unique<corral::Css>();
  }
};
}  // namespace
CORRAL_PLUGIN([] { return std::make_shared<Odd>(); })
