// EngineTest: an engine with a hierarchy `jobs`, and what it told.
#ifndef CORRAL_TESTS_UNIT_ENGINE_FIXTURE_H_
#define CORRAL_TESTS_UNIT_ENGINE_FIXTURE_H_

#include <corral/engine.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <mutex>
#include <optional>
#include <stdexcept>

#include "support/matchers.h"

namespace corral {

// A text for each group, which its groups start with: at most 3 characters. `no` lets no task in,
// `!` throws.
class Tags final : public Subsystem {
 public:
  struct State final : Css {
    mutable std::mutex mu;
    std::string text;
    std::string Text() const {
      std::lock_guard lock(mu);
      return text;
    }
  };

  std::string_view name() const override { return "tags"; }
  Result<std::unique_ptr<Css>> Create(const NewCss& of) override {
    auto state = std::make_unique<State>();
    if (of.parent && of.inherits) state->text = Of(*of.parent).Text();
    return state;
  }
  std::vector<SubsystemFile> Files() override {
    return {{.name = "text",
             .read = [](FileUse& use) -> Result<std::string> { return Of(*use.css).Text(); },
             .write = [](FileUse& use, std::string_view bytes) { return Set(*use.css, bytes); }},
            {.name = "size", .number = [](FileUse& use) -> Result<std::uint64_t> {
               return Of(*use.css).Text().size();
             }}};
  }
  Result<void> CanAttach(Css& to, Css&, Tid) override {
    if (Of(to).Text() == "no") return Fail(EACCES, "the group says no");
    return {};
  }

 private:
  static State& Of(Css& css) { return static_cast<State&>(css); }
  static Result<void> Set(Css& css, std::string_view bytes) {
    if (bytes == "!") throw std::runtime_error("not that");
    if (bytes.size() > 3) return Fail(ERANGE, "longer than 3 characters");
    std::lock_guard lock(Of(css).mu);
    Of(css).text = bytes;
    return {};
  }
};

class EngineTest : public ::testing::Test {
 protected:
  static constexpr std::uint32_t kTasks = 4096;

  EngineTest()
      : engine_(Engine::Create({.tasks = kTasks, .places = 256}).value()),
        jobs_(engine_->CreateHierarchy(Spec("jobs", {})).value()) {}
  // I1 and I2 hold after every story.
  ~EngineTest() override { EXPECT_THAT(engine_->Audit().differences, ::testing::IsEmpty()); }

  Engine& engine() { return *engine_; }
  Group& jobs() { return jobs_; }
  Group Make(const std::string& name) { return jobs_.Create(name).value(); }
  Group WithTags(const std::string& hierarchy) {
    EXPECT_THAT(engine_->Register(std::make_shared<Tags>()), IsOk());
    return engine_->CreateHierarchy(Spec(hierarchy, {"tags"})).value();
  }
  static Task Begin(const Group& group) { return group.Begin().value(); }
  void Flush() { EXPECT_THAT(engine_->Flush(), IsOk()); }

  // Paths of what was released since the last call, in that order.
  std::vector<std::string> Told() {
    Flush();
    std::lock_guard lock(mu_);
    return std::exchange(told_, {});
  }

 private:
  HierarchySpec Spec(std::string name, std::vector<std::string> subsystems) {
    return {.name = std::move(name),
            .subsystems = std::move(subsystems),
            .on_release = [this](const Release& release) {
              std::lock_guard lock(mu_);
              told_.push_back(release.path);
            }};
  }

  std::mutex mu_;
  std::vector<std::string> told_;
  const std::unique_ptr<Engine> engine_;
  Group jobs_;
};

}  // namespace corral

#endif  // CORRAL_TESTS_UNIT_ENGINE_FIXTURE_H_
