/*
 * Keys pressed by command, at a pace that guests keep up with.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "control/control.h"
#include "vm.h"

#define GAP_MS	20			/* between one key combination and the next */

static void run_keys(struct control *c);

static void on_timer(void *arg)
{
	struct control *c = arg;
	uint64_t n;

	if (read(c->key_timer, &n, sizeof(n)) == sizeof(n)) {
		c->keys_running = false;
		run_keys(c);
	}
	host_io_arm(c->io, c->key_watch);
}

static void run_keys(struct control *c)
{
	while (c->key_tail != c->key_head && !c->keys_running) {
		const struct control_key *k = &c->key[c->key_tail++ % CONTROL_KEYS];

		pc_key(&c->vm->pc, k->key, k->down);
		if (k->wait_ms) {
			struct itimerspec t = { .it_value = { k->wait_ms / 1000, k->wait_ms % 1000 * 1000000L } };

			timerfd_settime(c->key_timer, 0, &t, NULL);
			c->keys_running = true;
		}
	}
}

int control_send_keys(struct control *c, const enum key *keys, unsigned n, unsigned hold_ms)
{
	if (c->key_timer < 0) {
		c->key_timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
		c->key_watch = c->key_timer < 0 ? NULL : host_io_add(c->io, c->key_timer, EPOLLIN, on_timer, c);
		if (c->key_watch == NULL)
			return -errno;
	}
	if (c->key_head - c->key_tail + 2 * n > CONTROL_KEYS)
		return -ENOSPC;
	for (unsigned i = 0; i < n; i++)
		c->key[c->key_head++ % CONTROL_KEYS] = (struct control_key){ keys[i], true, i + 1 == n ? MAX(hold_ms, 1u) : 0 };
	for (unsigned i = n; i-- > 0; )
		c->key[c->key_head++ % CONTROL_KEYS] = (struct control_key){ keys[i], false, i == 0 ? GAP_MS : 0 };
	run_keys(c);
	return 0;
}

int control_parse_keys(const char *text, enum key *keys, unsigned max, struct error *err)
{
	unsigned n = 0;

	for (const char *p = text; ; ) {
		char name[32];
		size_t len = strcspn(p, "-");

		if (len == 0 && *p == '-' && n == 0)
			len = 1;			/* the key "-" alone */
		if (len == 0 || len >= sizeof(name) || n == max)
			return error_set(err, -EINVAL, "'%s': not a key combination", text);
		memcpy(name, p, len);
		name[len] = '\0';
		enum key key = key_by_name(strcmp(name, "-") == 0 ? "minus" : name);
		if (key == KEY_NONE && len == 1) {
			bool shift;

			key = key_by_ascii(name[0], &shift);
			if (shift && key != KEY_NONE && n < max - 1)
				keys[n++] = KEY_shift;
		}
		if (key == KEY_NONE && strncmp(name, "0x", 2) == 0)
			key = key_by_set1((uint16_t)strtoul(name, NULL, 16));
		if (key == KEY_NONE)
			return error_set(err, -EINVAL, "Unknown key: '%s'", name);
		keys[n++] = key;
		p += len;
		if (*p == '\0')
			return (int)n;
		p++;
	}
}
