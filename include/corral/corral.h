/*
 * corral.h: groups of processes from C, kept by a running corrald (corrald(8)).
 *
 * C99 and C++. Link with -lcorral (pkg-config corral; in CMake corral::c). The program runs as
 * root. C++ has more: process_group.h, and engine.h for tasks that are not processes.
 *
 *   corral_t *corral;
 *   if (corral_open(NULL, &corral) < 0) {                  // no daemon: carry on without
 *     fprintf(stderr, "%s\n", corral_error_text());
 *   } else {
 *     char *const tar[] = {"tar", "-cf", "/srv/b.tar", "/home", NULL};
 *     corral_create(corral, "corral:/backup");
 *     pid_t pid = corral_spawn(corral, "corral:/backup", tar);
 *     if (corral_wait_empty(corral, "corral:/backup", 10000) == -ETIMEDOUT)
 *       corral_kill(corral, "corral:/backup");
 *     waitpid(pid, NULL, 0);
 *     corral_remove(corral, "corral:/backup");
 *     corral_close(corral);
 *   }
 *
 * Groups are named HIERARCHY:/path; `corral` is the hierarchy that is always there.
 *
 * Errors. A call that fails returns a negative errno and changes nothing; corral_error_text() then
 * has the sentence. -ECONNREFUSED from any call: no daemon runs for the instance, or it went away;
 * a later call finds one that was started meanwhile. -EPERM, -EACCES: not root. -ENOENT: there is
 * no such group. -EINVAL: a pointer is NULL that must not be, or no such path is possible.
 * -ECONNRESET: the daemon went away while it was at work, and another one is there. -ETIMEDOUT: it
 * is stopped or does not answer for some seconds; what was asked may be done all the same. -ENOMEM.
 * No call starts a daemon, raises a signal or ends the program.
 *
 * Threads. All functions may be called from any thread, on one corral_t by many at once; only
 * corral_close() must be the last for its object. A corral_wait_empty() holds up nobody.
 *
 * Ownership. corral_open() makes what corral_close() frees. Strings and arrays that are passed in
 * are the caller's, and are not used after the call.
 */
#ifndef CORRAL_CORRAL_H_
#define CORRAL_CORRAL_H_

#include <stddef.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CORRAL_API __attribute__((visibility("default")))

typedef struct corral_instance corral_t;

/* The instance of this name; NULL: $CORRAL_INSTANCE, else `default`. 0, or an error; then *opened
 * is NULL. */
CORRAL_API int corral_open(const char* instance, corral_t** opened);

/* Groups and processes stay as they are. NULL: no effect. */
CORRAL_API void corral_close(corral_t* corral);

/* Makes a group, and those above it, if they are missing. 1: it was; 0: it is there already. */
CORRAL_API int corral_create(corral_t* corral, const char* group);

/* Moves a process with all its threads into the group; 0: the caller's own. Children that it has
 * already stay where they are. -ESRCH: there is none. */
CORRAL_API int corral_enter(corral_t* corral, const char* group, pid_t process);

/* Runs a command, found on PATH, in the group from its first instruction on, with the caller's
 * environment and descriptors. `argv` ends with NULL. Returns the process, a child of the caller,
 * to be waited for as usual. -ENOENT, -EACCES, ...: it cannot be run, and nothing is left. */
CORRAL_API pid_t corral_spawn(corral_t* corral, const char* group, char* const argv[]);

/* Returns 0 when nobody is in the group or below it any more, and all that left have let go of
 * memory, files and directories; also when the group is removed meanwhile. -ETIMEDOUT after so many
 * milliseconds (-1: never). -EINVAL: the root of a hierarchy, which is never empty. -ESHUTDOWN: the
 * daemon ends. */
CORRAL_API int corral_wait_empty(corral_t* corral, const char* group, int timeout_ms);

/* Stores the processes in the group and below it, ascending, as far as there is room. Returns how
 * many there are: if that is more than `room`, ask again. `processes` may be NULL with no room. */
CORRAL_API ssize_t corral_list(corral_t* corral, const char* group, pid_t* processes, size_t room);

/* SIGKILL to every process in the group and below it, those born meanwhile included. Returns how
 * many; does not wait for their end. -EPERM: the root of a hierarchy. */
CORRAL_API int corral_kill(corral_t* corral, const char* group);

/* -EBUSY: processes or groups are in it. */
CORRAL_API int corral_remove(corral_t* corral, const char* group);

/* One sentence about the last call that failed in this thread; empty if none did. Valid until the
 * next call that fails in this thread. */
CORRAL_API const char* corral_error_text(void);

#ifdef __cplusplus
}
#endif

#endif /* CORRAL_CORRAL_H_ */
