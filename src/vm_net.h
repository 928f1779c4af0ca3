/*
 * The network card and the other end of its cable, where they meet.
 */
#ifndef PLEX86_VM_NET_H
#define PLEX86_VM_NET_H

#include "host/file.h"
#include "host/io.h"
#include "net/net.h"

struct vm;

struct vm_net {
	int fd;				/* of the network's process; -1: the cable is out */
	struct host_watch *watch;
	bool pending;			/* there is something to look at */
	bool pending_gone;		/* its process has ended: to be said where the card is not in the midst of something */
	bool armed;
	bool wants_room;		/* the card has a frame that did not find room */
	int held;			/* bytes of message.frame that the card did not take; 0: none */
	struct net_message message;
	struct host_file rom;		/* size 0: none */
	/* for meters */
	uint64_t lost_in, lost_out;
};

int vm_net_init(struct vm *vm, struct error *err);	/* after the chip set. 0 or -errno with err set */
void vm_net_close(struct vm *vm);
void vm_net_service(struct vm *vm);		/* frames in, and out; unless it is paused */
void vm_net_resume(struct vm *vm);
/* Pull the cable, or put it in again. name: the card's, or its network's. 0, or -errno with err set. */
int vm_net_set_link(struct vm *vm, const char *name, bool up, struct error *err);
const char *vm_net_name(const struct vm *vm);	/* the card's: its id, its network's, or net0 */

#endif
