/*
 * Machines in threads of their own that loop until they are told not to: by a time limit, and by a kick of another thread.
 * (install_test.py builds it with ThreadSanitizer too, which keeps signals of the C library's sigaction() back from a thread
 * that calls nothing.)
 */
#include <plex86.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum { THREADS = 3, ROUNDS = 20 };

struct looper {
	pthread_t thread;
	plex86 *m;
	unsigned kicked, timed;
	int runs;			/* atomic: how many have begun */
};

static void *loop(void *arg)
{
	static const unsigned char code[] = { 0x40, 0xA3, 0, 0, 2, 0, 0xEB, 0xF8 };	/* 1: inc %eax; mov %eax, 0x20000; jmp 1b */
	struct looper *l = arg;
	struct plex86_stop stop = PLEX86_SIZED(plex86_stop);

	plex86_map(l->m, 0, 0x100000, 0, NULL);
	plex86_write(l->m, 0x1000, code, sizeof(code));
	plex86_set(l->m, PLEX86_EIP, 0x1000);
	for (int i = 0; i < ROUNDS; i++)
		l->timed += plex86_run(l->m, 0, 1000000, &stop) == PLEX86_STOP_TIMEOUT;
	for (int i = 0; i < ROUNDS; i++) {
		__atomic_store_n(&l->runs, i + 1, __ATOMIC_RELEASE);
		l->kicked += plex86_run(l->m, 0, 0, &stop) == PLEX86_STOP_KICK;
	}
	return NULL;
}

int main(int argc, char **argv)
{
	static struct looper l[THREADS];
	struct plex86_config config = PLEX86_SIZED(plex86_config);
	char why[100];
	int wrong = 0;

	config.engine = argc > 1 ? PLEX86_EMULATE : PLEX86_SCAN;
	for (int i = 0; i < THREADS; i++) {
		if (plex86_create(&l[i].m, &config, why, sizeof(why)) < 0)
			return puts(why), 1;
		pthread_create(&l[i].thread, NULL, loop, &l[i]);
	}
	for (int n = 1; n <= ROUNDS; n++) {
		for (int i = 0; i < THREADS; i++) {
			while (__atomic_load_n(&l[i].runs, __ATOMIC_ACQUIRE) < n)
				sched_yield();
			plex86_kick(l[i].m);
		}
	}
	for (int i = 0; i < THREADS; i++) {
		pthread_join(l[i].thread, NULL);
		wrong += l[i].kicked != ROUNDS || l[i].timed != ROUNDS;
		plex86_destroy(l[i].m);
	}
	puts(wrong ? "wrong" : "every run ended as it was told");
	return wrong;
}
