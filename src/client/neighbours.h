// The other instances of the machine, and leaving their groups.
//
// Whoever starts the first `corral run` of an instance may itself be in a group of another one.
// That group's owner waits for, and kills, what the job left: not the daemon and not its agents.
// Only the neighbour's daemon can move us, so it is asked; one that hangs must not keep an instance
// from starting.
#ifndef CORRAL_CLIENT_NEIGHBOURS_H_
#define CORRAL_CLIENT_NEIGHBOURS_H_

#include <string>
#include <vector>

namespace corral {

// Has every other instance move this process to the roots of its hierarchies: all are asked at the
// same time, and have two seconds together. Sentences about those that did not, for the log and for
// whoever starts us; such a one does it when it goes on, but who was forked meanwhile stays.
std::vector<std::string> LeaveGroupsOfOtherInstances(const std::string& own);

}  // namespace corral

#endif  // CORRAL_CLIENT_NEIGHBOURS_H_
