/*
 * job SECONDS COMMAND [ARGUMENT...]: runs a command in a group of its own, waits so long for it and
 * for everything it started, and ends what is left. Its exit status is the command's; without a
 * daemon the command runs all the same.
 */
#define _POSIX_C_SOURCE 200809L
#include <corral/corral.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static int complain(const char *what)
{
	fprintf(stderr, "job: %s: %s\n", what, corral_error_text());
	return 125;
}

static int run(corral_t *corral, const char *group, int seconds, char *const command[])
{
	pid_t left[64];
	pid_t child = corral_spawn(corral, group, command);
	int status, waited;
	ssize_t count, i;

	if (child < 0)
		return complain(command[0]);
	waited = corral_wait_empty(corral, group, seconds * 1000);
	if (waited == -ETIMEDOUT) {
		count = corral_list(corral, group, left, 64);
		printf("left after %d s:", seconds);
		for (i = 0; i < count && i < 64; i++)
			printf(" %s", left[i] == child ? "the command" : "something it started");
		printf("\n");
		if (corral_kill(corral, group) < 0)
			complain("kill");
		waited = corral_wait_empty(corral, group, -1);
	}
	if (waited < 0)
		complain("wait");
	if (waitpid(child, &status, 0) != child)
		return 125;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int main(int argc, char **argv)
{
	char group[64];
	corral_t *corral;
	int result;

	if (argc < 3) {
		fprintf(stderr, "usage: job SECONDS COMMAND [ARGUMENT...]\n");
		return 2;
	}
	result = corral_open(NULL, &corral);
	if (result == -ECONNREFUSED) {
		complain("nobody will look after what is left");
		execvp(argv[2], argv + 2);
		return 127;
	}
	if (result < 0)
		return complain("open");
	snprintf(group, sizeof group, "corral:/job-%ld", (long)getpid());
	if (corral_create(corral, group) < 0) {
		result = complain(group);
	} else {
		result = run(corral, group, atoi(argv[1]), argv + 2);
		if (corral_remove(corral, group) < 0)
			complain("remove");
	}
	corral_close(corral);
	return result;
}
