/*
 * Descriptors passed from one process to another.		[unix(7), "SCM_RIGHTS"]
 */
#ifndef PLEX86_HOST_PASS_H
#define PLEX86_HOST_PASS_H

#include <stddef.h>
#include <sys/types.h>

/* One message, and a descriptor with it; fd < 0: without one. As sendmsg(). */
ssize_t pass_send(int socket, const void *buf, size_t len, int fd);
/* As recvmsg(), with these flags; *fd is set if a descriptor came along. */
ssize_t pass_receive(int socket, void *buf, size_t len, int flags, int *fd);

#endif
