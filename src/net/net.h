/*
 * The other end of the network card's cable: a user-mode network (libslirp) in a process of its own.
 *
 * That process is made before anything of the guest is read. It has none of the guest's memory and none of its images, and
 * its own list of system calls: the monitor's stays without sockets. Between the two lies a socketpair of
 * whole frames: what a guest sends reaches libslirp, and a mistake of libslirp's ends there.
 */
#ifndef PLEX86_NET_NET_H
#define PLEX86_NET_NET_H

#include <netinet/in.h>
#include <sys/types.h>

#include "util/error.h"

#define NET_FORWARDS	16
#define NET_FRAME_MAX	16388u		/* the largest that the card sends: jumbo, and tagged */

struct net_forward {			/* a port of the host's that leads to one of the guest's */
	bool udp;
	struct in_addr host, guest;	/* guest 0: the first that DHCP gives */
	uint16_t host_port, guest_port;
};

struct net_user_config {
	bool restricted;		/* nothing but what is forwarded: no way out */
	bool no_ipv4, no_ipv6;
	struct in_addr net, mask, host, dhcp_start, dns;	/* 0: see net_user_defaults() */
	const char *hostname, *domain, *tftp, *bootfile;	/* NULL: none */
	struct net_forward forward[NET_FORWARDS];
	unsigned nforwards;
};

struct net_config {
	bool card;			/* there is one */
	bool user;			/* with such a network at its end; else with its cable out */
	uint8_t mac[6];
	unsigned boot_rank;		/* bootindex; 0: none */
	const char *rom;		/* its option ROM; NULL: where the firmware's files are, "": none */
	const char *id;			/* of the -netdev; NULL: none was given */
	const char *card_id;
	struct net_user_config at;
};

/* How a frame comes from there. */
struct net_message {
	uint32_t lost;			/* frames so far that there was no room for */
	uint8_t frame[NET_FRAME_MAX];
};

struct net_process {
	int fd;				/* frames, to and from it */
	pid_t pid;
};

/* Addresses that are 0 are 10.0.2.0/24, and .2, .15, .3 of the network. */
void net_user_defaults(struct net_user_config *cfg);
/* Start it, while there is one thread; sandbox: it confines itself. 0, or -errno with err set. */
int net_user_start(const struct net_user_config *cfg, bool sandbox, struct net_process *process, struct error *err);

/* A frame to it. 0, -EAGAIN: no room now (EPOLLOUT), -EMSGSIZE: too long, -EPIPE: it is gone. */
int net_send(int fd, const uint8_t *frame, size_t len);
/* A frame from it: its length, -EAGAIN: there is none, -EPIPE: it is gone. */
int net_receive(int fd, struct net_message *m);

#endif
