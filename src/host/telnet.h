/*
 * TELNET as a terminal program speaks it: commands are taken out of what comes.	[RFC 854], [RFC 856], [RFC 857], [RFC 858]
 *
 * Left out: every option but those of telnet_hello(), which says what a serial line is: bytes, one by one,
 * echoed by the other end. What the client asks for is not answered, so nothing but that comes into force.
 */
#ifndef PLEX86_HOST_TELNET_H
#define PLEX86_HOST_TELNET_H

#include "util/types.h"

#define TELNET_IAC	255		/* "interpret as command"; doubled where it is data */
#define TELNET_HELLO_BYTES 12

struct telnet {
	uint8_t state, verb;
	bool binary;			/* the client has said WILL BINARY: CR is not followed by NUL or LF */
	bool after_cr;
};

/* WILL ECHO, WILL SUPPRESS-GO-AHEAD, WILL BINARY, DO BINARY. */
void telnet_hello(uint8_t hello[TELNET_HELLO_BYTES]);
/* The data among len bytes that came, at the start of buf: how many. *is_break: BREAK was among them. */
size_t telnet_strip(struct telnet *t, uint8_t *buf, size_t len, bool *is_break);

#endif
