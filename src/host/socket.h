/*
 * Sockets that other programs reach us by, as QEMU's options write them:
 * unix:PATH[,server=on][,wait=off], tcp:HOST:PORT[,...], telnet:HOST:PORT[,...]. The older "server,nowait" is
 * understood too.
 */
#ifndef PLEX86_HOST_SOCKET_H
#define PLEX86_HOST_SOCKET_H

#include "util/error.h"

struct socket_spec {
	char path[108];			/* "": TCP */
	char host[64];
	unsigned port;
	bool telnet;			/* whoever connects speaks TELNET */
	bool server, wait;		/* wait: the machine starts when somebody has connected */
};

/* One "name=value" or word of the list after the address. false: not one of ours. */
bool socket_option(struct socket_spec *spec, const char *name, const char *value);
/* "HOST:PORT"; HOST may be empty: this host only. */
bool socket_host_port(struct socket_spec *spec, const char *text);
/* The whole text. 0 or -EINVAL with err set. */
int socket_parse(struct socket_spec *spec, const char *text, struct error *err);

/* A listening socket (server), or a connected one. Descriptor, or -errno with err set. */
int socket_open(const struct socket_spec *spec, struct error *err);
/* The next connection, not blocking; wait: until there is one. Descriptor or -errno. */
int socket_accept(int fd, bool wait);
/* Wait for the first connection to a listening socket, saying so. Descriptor, or -errno with err set. */
int socket_accept_first(const struct socket_spec *spec, int fd, struct error *err);
/* Take away the file of a listening socket. */
void socket_remove(const struct socket_spec *spec);

/* The header of an HTTP request, up to its empty line.	[RFC 9112] */
enum socket_header {
	HEADER_PART,			/* more is to come */
	HEADER_WHOLE,
	HEADER_FULL,			/* there is no more room, and it is not whole */
	HEADER_GONE,			/* the client is */
};

/* Add what has come to the *len bytes in text[room], which is ended by a 0. Does not wait. */
enum socket_header socket_read_header(int fd, char *text, size_t room, size_t *len);

#endif
