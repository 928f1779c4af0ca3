/*
 * What is to be said on a connection, and not yet taken by it.
 */
#ifndef PLEX86_CONTROL_OUTBOX_H
#define PLEX86_CONTROL_OUTBOX_H

#include "util/types.h"

struct outbox {
	char *text;
	size_t len, room;
};

/* false: it would be more than most, or there is no memory; nothing was added. */
bool outbox_put(struct outbox *o, const char *text, size_t len, size_t most);
/* What fits now goes out. false: nobody takes any of it any more. */
bool outbox_flush(struct outbox *o, int fd, bool is_socket);
void outbox_free(struct outbox *o);

#endif
