// corral doctor: works without a daemon.
#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/doctor_checks.h"
#include "cli/output.h"
#include "client/client.h"

namespace corral::cli {
namespace {

using nlohmann::json;

const char* Word(Health health) {
  switch (health) {
    case Health::kOk: return "ok";
    case Health::kDegraded: return "degraded";
    case Health::kMissing: return "missing";
    case Health::kUnknown: return "unknown";
  }
  return "?";
}

int Doctor(const Context& context) {
  Facts facts{.status = std::nullopt, .instance = context.instance};
  auto client = Client::Connect(context.instance);
  auto status = client ? client->Call(wire::Status()) : Fail(client.error());
  if (status) {
    facts.status = *std::move(status);
  } else {
    facts.no_status = status.error().message;
  }
  bool works = true;
  json rows = json::array();
  Table table({"CHECK", "STATE", "MEANING"});
  for (const Check& check : Checks()) {
    const Finding finding = check.look(facts);
    if (check.required && finding.health == Health::kMissing) works = false;
    table.Add({check.name, Word(finding.health), finding.meaning});
    rows.push_back({{"name", check.name},
                    {"state", Word(finding.health)},
                    {"required", check.required},
                    {"meaning", finding.meaning}});
  }
  if (context.json) {
    PrintJson({{"works", works}, {"checks", rows}});
  } else {
    table.Print();
    Print("");
    Print(works ? "corral can work here."
                : "corral cannot work here: see the rows that say missing.");
  }
  return works ? kOk : kFailed;
}

}  // namespace

Form DoctorForm() { return {{}, Doctor}; }

}  // namespace corral::cli
