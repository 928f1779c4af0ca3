#include "host/pass.h"

#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

/* The control message that a descriptor goes in. */
union pass_room { struct cmsghdr align; char buf[CMSG_SPACE(sizeof(int))]; };

ssize_t pass_send(int socket, const void *buf, size_t len, int fd)
{
	struct iovec iov = { (void *)(uintptr_t)buf, len };
	union pass_room room = { .buf = { 0 } };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (fd >= 0) {
		msg.msg_control = room.buf;
		msg.msg_controllen = sizeof(room.buf);
		struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &fd, sizeof(int));
	}
	return sendmsg(socket, &msg, MSG_NOSIGNAL);
}

ssize_t pass_receive(int socket, void *buf, size_t len, int flags, int *fd)
{
	struct iovec iov = { buf, len };
	union pass_room room;
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = room.buf, .msg_controllen = sizeof(room.buf) };
	ssize_t n = recvmsg(socket, &msg, flags | MSG_CMSG_CLOEXEC);
	struct cmsghdr *c = n > 0 ? CMSG_FIRSTHDR(&msg) : NULL;

	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS && c->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(fd, CMSG_DATA(c), sizeof(int));
	return n;
}
