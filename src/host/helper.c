#include "host/helper.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#define MAX_FDS		1024

int helper_begin(int fd, const char *name)
{
	sigset_t all;

	/* Not the terminal's business, nor its signals: Ctrl-C is for the monitor. */
	setsid();
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	for (int i = 0; i <= 2 && null >= 0; i++)
		dup2(null, i);
	int keep = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	for (int i = 3; i < MAX_FDS; i++)
		if (i != keep)
			close(i);
	prctl(PR_SET_NAME, name);
	return keep;
}
