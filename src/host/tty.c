#include "host/tty.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

/* Global because the crash handler and atexit() have to find it. */
static struct {
	int fd;
	volatile sig_atomic_t raw;
	bool at_exit;
	struct termios saved;
} tty = { .fd = -1 };

bool host_tty_is(int fd)
{
	return isatty(fd);
}

int host_tty_raw(int fd)
{
	struct termios t;

	if (tty.raw)
		return 0;
	if (tcgetattr(fd, &tty.saved) < 0)
		return -errno;
	t = tty.saved;
	t.c_iflag &= ~(tcflag_t)(IGNBRK | BRKINT | PARMRK | ISTRIP | INLCR | IGNCR | ICRNL | IXON);
	t.c_oflag |= OPOST;
	t.c_lflag &= ~(tcflag_t)(ECHO | ECHONL | ICANON | IEXTEN | ISIG);
	t.c_cflag = (t.c_cflag & ~(tcflag_t)(CSIZE | PARENB)) | CS8;
	t.c_cc[VMIN] = 1;
	t.c_cc[VTIME] = 0;
	tty.fd = fd;
	tty.raw = 1;
	if (!tty.at_exit) {
		tty.at_exit = true;
		atexit(host_tty_restore_all);
	}
	return tcsetattr(fd, TCSANOW, &t) == 0 ? 0 : -errno;
}

void host_tty_restore_all(void)
{
	if (!tty.raw)
		return;
	tty.raw = 0;
	/* A background process that touches the terminal would be stopped by SIGTTOU. */
	sigset_t ttou, old;
	sigemptyset(&ttou);
	sigaddset(&ttou, SIGTTOU);
	sigprocmask(SIG_BLOCK, &ttou, &old);
	tcsetattr(tty.fd, TCSANOW, &tty.saved);
	sigprocmask(SIG_SETMASK, &old, NULL);
}
