// Makes the file $CORRAL_TEST_MARK as soon as it is loaded.
#include <corral/plugin.h>

#include <cstdlib>
#include <fstream>

namespace {

const bool marked = [] {
  const char* mark = std::getenv("CORRAL_TEST_MARK");
  return mark != nullptr && std::ofstream(mark).good();
}();

class Marking final : public corral::Subsystem {
 public:
  std::string_view name() const override { return "marking"; }
  corral::Result<std::unique_ptr<corral::Css>> Create(const corral::NewCss&) override {
    return std::make_unique<corral::Css>();
  }
};

}  // namespace

CORRAL_PLUGIN([] { return std::make_shared<Marking>(); })
