/*
 * plex86: command line -> struct vm -> run -> the reason it stopped.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/image_cmd.h"
#include "cli/options.h"
#include "scan/scan.h"
#include "control/client.h"
#include "util/sanitizer.h"

static bool wants_report(enum stop_reason reason)
{
	return reason == STOP_INTERNAL || reason == STOP_TRIPLE_FAULT || reason == STOP_DEAD_HALT ||
	    reason == STOP_GUEST_PANIC || reason == STOP_TRAP;
}

/*
 * -daemonize: the caller's process ends, with status 0, when the machine is ready to run; this one goes on without
 * a terminal. In the child: where it says so. In the parent: it does not return.
 */
static int into_background(void)
{
	int pair[2];
	char byte;

	if (pipe2(pair, O_CLOEXEC) < 0)
		return -1;
	pid_t pid = fork();
	if (pid == 0) {
		close(pair[0]);
		setsid();
		return pair[1];
	}
	close(pair[1]);
	if (pid < 0)
		return -1;
	ssize_t n;
	while ((n = read(pair[0], &byte, 1)) < 0 && errno == EINTR)
		;
	int status = 0;
	if (n != 1)			/* it has said why */
		while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
			;
	_exit(n == 1 ? 0 : WIFEXITED(status) ? WEXITSTATUS(status) : STOP_INTERNAL);
}

/* Nothing of the caller's stays open: not his terminal, nor a pipe that he reads to its end. What was standard error. */
static int leave_terminal(int null)
{
	int err = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);

	for (int i = 0; i <= 2; i++)
		dup2(null, i);
	close(null);
	return err;
}

static int run(struct options *o)
{
	int ready = -1, null = -1, err_fd = STDERR_FILENO;

	if (o->daemonize) {
		null = open("/dev/null", O_RDWR | O_CLOEXEC);
		ready = null < 0 ? -1 : into_background();
		if (ready < 0) {
			fprintf(stderr, "plex86: -daemonize: %s\n", strerror(errno));
			return STOP_USAGE;
		}
	}
	const struct vm_config *cfg = &o->vm;
	struct error err = { 0 };
	struct vm *vm = calloc(1, sizeof(*vm));
	int rc = 0;

	/* That a helper has ended is seen at its socket: none stays as a zombie to be waited for. */
	sigaction(SIGCHLD, &(struct sigaction){ .sa_handler = SIG_IGN }, NULL);
	/* First of all: the network's process has nothing of what comes after, nor the namespaces. */
	if (vm && cfg->net.user)
		rc = net_user_start(&cfg->net.at, o->sandbox.mode != SANDBOX_OFF && !SANITIZER, &o->vm.net_process, &err);
	bool ok = vm != NULL && rc >= 0 && host_sandbox_prepare(&o->sandbox, &err) >= 0 && vm_init(vm, cfg, &err) >= 0;
	if (ok && o->daemonize)
		err_fd = leave_terminal(null);
	if (!ok || host_sandbox_enter(&o->sandbox, &err) < 0) {
		dprintf(err_fd, "plex86: %s\n", vm ? err.text : "no memory");
		if (vm)
			vm_free(vm);
		free(vm);
		return STOP_USAGE;
	}
	if (o->daemonize) {
		close(err_fd);
		if (write(ready, "", 1) == 1)	/* else the caller is gone already, and does not mind */
			close(ready);
	}
	vm_run(vm);

	/* The console first, all of it: what we say comes after what the guest said. */
	int status = vm->exit_status;
	struct vcpu *cpu = &vm->cpu;
	vm_close_host(vm);
	if (wants_report(vm->stop_reason)) {
		fprintf(stderr, "plex86: %s\n", vm->stop_text);
		report_all(stderr, cpu);
	} else if (vm->stop_reason == STOP_SIGNAL) {
		fprintf(stderr, "plex86: %s\n", vm->stop_text);
	}
	scan_verify_summary(cpu, stderr);
	scan_lockstep_summary(cpu, stderr);
	vm_free(vm);
	free(vm);
	return status;
}

static int carry_out(struct options *o, unsigned closed)
{
	switch (o->command) {
	case CLI_HELP:
		options_help(stdout);
		return 0;
	case CLI_VERSION:
		puts("plex86 " PLEX86_VERSION);
		return 0;
	case CLI_DOCTOR:
		return doctor(stdout);
	case CLI_DONE:
		return 0;
	case CLI_RUN:
		break;
	}
	if ((closed & BIT(0)) && o->vm.serial[0].kind == CHARDEV_STDIO)
		fputs("plex86: standard input is closed: the guest's console gets no input\n", stderr);
	return run(o);
}

int main(int argc, char **argv)
{
	struct options o;
	struct error err = { 0 };
	unsigned closed = host_std_descriptors();

	signal(SIGXFSZ, SIG_IGN);	/* a file that may not grow (ulimit -f) is an error of write(), told as such */

	if (argc > 1 && strcmp(argv[1], "image") == 0)
		return image_main(argc - 1, argv + 1, stdout);
	if (argc > 1 && client_command(argv[1]))
		return client_main(argc - 1, argv + 1);
	int status = options_parse(&o, argc, argv, &err);
	if (status < 0) {
		fprintf(stderr, "plex86: %s\n", err.text);
		status = STOP_USAGE;
	} else {
		status = carry_out(&o, closed);
	}
	options_free(&o);
	return status;
}
