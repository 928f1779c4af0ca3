#include "host/telnet.h"

#include <string.h>

enum { IAC = TELNET_IAC, DONT = 254, DO = 253, WONT = 252, WILL = 251, SB = 250, BRK = 243, SE = 240 };
enum { OPT_BINARY = 0, OPT_ECHO = 1, OPT_SGA = 3 };
enum { DATA, COMMAND, OPTION, PARAMETERS, PARAMETERS_COMMAND };

void telnet_hello(uint8_t hello[TELNET_HELLO_BYTES])
{
	static const uint8_t said[TELNET_HELLO_BYTES] = { IAC, WILL, OPT_ECHO, IAC, WILL, OPT_SGA, IAC, WILL, OPT_BINARY, IAC, DO, OPT_BINARY };

	memcpy(hello, said, sizeof(said));
}

/* One byte of a command. true: it is data after all (IAC IAC). */
static bool command_byte(struct telnet *t, uint8_t byte, bool *is_break)
{
	switch (t->state) {
	case COMMAND:
		t->verb = byte;
		t->state = byte == SB ? PARAMETERS : byte >= WILL && byte <= DONT ? OPTION : DATA;
		*is_break |= byte == BRK;
		return byte == IAC;
	case OPTION:
		if (byte == OPT_BINARY && (t->verb == WILL || t->verb == WONT))
			t->binary = t->verb == WILL;
		t->state = DATA;
		break;
	case PARAMETERS:
		if (byte == IAC)
			t->state = PARAMETERS_COMMAND;
		break;
	case PARAMETERS_COMMAND:
		t->state = byte == SE ? DATA : PARAMETERS;
		break;
	}
	return false;
}

size_t telnet_strip(struct telnet *t, uint8_t *buf, size_t len, bool *is_break)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		uint8_t byte = buf[i];

		if (t->state != DATA) {
			if (command_byte(t, byte, is_break))
				buf[n++] = IAC;
			continue;
		}
		if (byte == IAC) {
			t->state = COMMAND;
			continue;
		}
		/* In the network virtual terminal's text a line ends in CR LF, and CR alone is CR NUL. */
		bool filler = t->after_cr && !t->binary && (byte == '\0' || byte == '\n');
		t->after_cr = byte == '\r';
		if (!filler)
			buf[n++] = byte;
	}
	return n;
}
