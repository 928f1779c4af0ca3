#include "control/outbox.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

bool outbox_put(struct outbox *o, const char *text, size_t len, size_t most)
{
	if (len == 0)
		return true;
	if (o->len + len > most)
		return false;
	if (o->len + len > o->room) {
		size_t room = (o->len + len) * 2;
		char *p = realloc(o->text, room);

		if (p == NULL)
			return false;
		o->text = p;
		o->room = room;
	}
	memcpy(o->text + o->len, text, len);
	o->len += len;
	return true;
}

bool outbox_flush(struct outbox *o, int fd, bool is_socket)
{
	while (o->len > 0) {
		ssize_t n = is_socket ? send(fd, o->text, o->len, MSG_NOSIGNAL | MSG_DONTWAIT) : write(fd, o->text, o->len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return true;
		if (n < 0) {
			o->len = 0;
			return false;
		}
		memmove(o->text, o->text + n, o->len - (size_t)n);
		o->len -= (size_t)n;
	}
	return true;
}

void outbox_free(struct outbox *o)
{
	free(o->text);
	*o = (struct outbox){ 0 };
}
