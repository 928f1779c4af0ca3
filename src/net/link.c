/*
 * The monitor's end of the cable. Of system calls it takes sendto() and recvmsg(), which the broker's takes too.
 */
#include <errno.h>
#include <stddef.h>
#include <sys/socket.h>

#include "net/net.h"

int net_send(int fd, const uint8_t *frame, size_t len)
{
	ssize_t n;

	while ((n = send(fd, frame, len, MSG_DONTWAIT | MSG_NOSIGNAL)) < 0 && errno == EINTR)
		;
	if (n >= 0)
		return 0;
	/* Without memory now: it may come back. */
	return errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM ? -EAGAIN : errno == EMSGSIZE ? -EMSGSIZE : -EPIPE;
}

int net_receive(int fd, struct net_message *m)
{
	struct iovec iov = { m, sizeof(*m) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t n;

	while ((n = recvmsg(fd, &msg, MSG_DONTWAIT)) < 0 && errno == EINTR)
		;
	if (n < 0)
		return errno == EAGAIN || errno == ENOMEM || errno == ENOBUFS ? -EAGAIN : -EPIPE;
	if (n < (ssize_t)offsetof(struct net_message, frame))
		return -EPIPE;			/* its end, or nothing that it says */
	return (int)(n - (ssize_t)offsetof(struct net_message, frame));
}
