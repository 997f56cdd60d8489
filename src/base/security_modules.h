// The kernel's security modules, as securityfs lists them.
#ifndef CORRAL_BASE_SECURITY_MODULES_H_
#define CORRAL_BASE_SECURITY_MODULES_H_

#include <string>
#include <string_view>

namespace corral {

// "lockdown,capability,bpf"; empty where securityfs is not mounted.
std::string SecurityModules();

// Whether such a list has the module.
bool ListsModule(std::string_view modules, std::string_view name);

}  // namespace corral

#endif  // CORRAL_BASE_SECURITY_MODULES_H_
