/*
 * Frames: $CONTENT#SUM, acknowledged by + or - until QStartNoAckMode; a byte 03h between them interrupts.
 *								[Debugging with GDB, "Remote Protocol: Overview"]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gdb/gdb.h"
#include "vm.h"

static void put(struct gdb *gdb, const char *bytes, size_t len)
{
	if (!outbox_put(&gdb->out, bytes, len, GDB_OUTPUT_MAX))
		gdb->closing = true;
}

static uint8_t sum_of(const char *data, size_t len)
{
	uint8_t sum = 0;

	for (size_t i = 0; i < len; i++)
		sum = (uint8_t)(sum + (uint8_t)data[i]);
	return sum;
}

void gdb_send(struct gdb *gdb, const char *data, size_t len)
{
	if (len > GDB_PACKET)
		len = GDB_PACKET;
	gdb->last[0] = '$';
	memcpy(gdb->last + 1, data, len);
	snprintf(gdb->last + 1 + len, 4, "#%02x", sum_of(data, len));
	gdb->last_len = len + 4;
	put(gdb, gdb->last, gdb->last_len);
}

int gdb_digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static void interrupt(struct gdb *gdb)
{
	if (gdb->running)
		gdb_stopped(gdb, GDB_INTERRUPT);
}

/* Bytes at text[0..len) that are done with; 0: a packet that is not all there yet. */
static size_t take(struct gdb *gdb, char *text, size_t len)
{
	if (text[0] == 3)
		interrupt(gdb);
	else if (text[0] == '-' && !gdb->no_ack)
		put(gdb, gdb->last, gdb->last_len);
	if (text[0] != '$')
		return 1;
	char *end = memchr(text, '#', len);
	if (end == NULL || (size_t)(end - text) + 3 > len)
		return 0;
	size_t n = (size_t)(end - text) - 1;
	bool good = gdb_digit(end[1]) >= 0 && gdb_digit(end[2]) >= 0 &&
	    gdb_digit(end[1]) * 16 + gdb_digit(end[2]) == sum_of(text + 1, n);
	if (!gdb->no_ack)
		put(gdb, good ? "+" : "-", 1);
	*end = '\0';
	gdb->in_command = true;
	if (good)
		gdb_command(gdb, text + 1, n);
	gdb->in_command = false;
	return n + 4;
}

void gdb_input(struct gdb *gdb)
{
	size_t at = 0, n;

	while (at < gdb->in_len && !gdb->closing && (n = take(gdb, gdb->in + at, gdb->in_len - at)) > 0)
		at += n;
	memmove(gdb->in, gdb->in + at, gdb->in_len - at);
	gdb->in_len -= at;
}
