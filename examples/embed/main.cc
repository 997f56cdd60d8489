// A server of 8 threads whose tasks are requests. Each request belongs to a tenant, and so does
// all the work it starts, on whatever thread that ends; the engine says when a tenant is idle.
#include <corral/engine.h>

#include <atomic>
#include <cstdio>
#include <mutex>
#include <thread>
#include <vector>

namespace {

constexpr int kThreads = 8;
constexpr int kRequests = 1000;  // for each thread

std::mutex mu;
std::vector<corral::Task> background;  // work that outlives its request

void Serve(corral::Engine& engine, const std::vector<corral::Group>& tenants, int thread) {
  for (int i = 0; i < kRequests; ++i) {
    corral::Task request = tenants[(thread + i) % tenants.size()].Begin().value();
    corral::Task work = engine.Begin(request).value();  // inherits the tenant
    std::lock_guard lock(mu);
    background.push_back(std::move(work));
    if (background.size() > 100) background.erase(background.begin());  // another's work ends
  }
}

}  // namespace

int main() {
  std::atomic<int> releases = 0;
  auto engine = corral::Engine::Create({}).value();
  const auto told = [&](const corral::Release&) { ++releases; };
  auto root = engine->CreateHierarchy({.name = "tenants", .on_release = told}).value();
  std::vector<corral::Group> tenants;
  for (const char* name : {"anna", "ben", "cleo"}) tenants.push_back(root.Create(name).value());
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < kThreads; ++i) {
      threads.emplace_back([&, i] { Serve(*engine, tenants, i); });
    }
  }
  std::printf("running: %zu\n", root.SubtreeTasks()->size());
  for (const auto& tenant : tenants) (void)tenant.Kill({});  // each may look at Task::killed()
  background.clear();
  for (const auto& tenant : tenants) (void)tenant.WaitEmpty();
  if (!engine->Flush()) return 1;
  const bool all_told = releases >= 3 && engine->Audit().differences.empty();
  std::printf("every tenant is idle, and was told so: %s\n", all_told ? "yes" : "no");
  return all_told ? 0 : 1;
}
