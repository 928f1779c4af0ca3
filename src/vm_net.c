/*
 * Frames between the card and the network's process. A frame that one side has no room for waits at the other: the card's
 * in its ring, the network's in the socket, and behind that in its process, which in the end drops and counts.
 */
#include "vm_net.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "vm.h"

#define VISIT_FRAMES	64u		/* taken in between two looks at the guest */

/* The watch is for one event: for what can be done now. */
static void arm(struct vm *vm)
{
	struct vm_net *net = &vm->net;
	uint32_t events = (net->held ? 0 : EPOLLIN) | (net->wants_room ? EPOLLOUT : 0);

	if (net->watch == NULL || events == 0 || (net->armed && net->watch->events == events))
		return;
	net->watch->events = events;
	net->armed = true;
	host_io_arm(&vm->io, net->watch);
}

/* --- what the card tells us --- */

static void gone(struct vm *vm)
{
	struct vm_net *net = &vm->net;

	fputs("plex86: the network's process has ended: the card's cable is out\n", stderr);
	if (net->watch)
		host_io_remove(&vm->io, net->watch);
	net->watch = NULL;
	close(net->fd);
	net->fd = -1;
	net->held = 0;
	net->wants_room = false;
	e1000_set_cable(&vm->chipset.net.card, false, vm_now(vm));
}

static bool on_send(void *arg, const uint8_t *frame, size_t len)
{
	struct vm *vm = arg;
	struct vm_net *net = &vm->net;
	int rc = net->fd < 0 || net->pending_gone ? 0 : net_send(net->fd, frame, len);

	if (rc == -EAGAIN) {
		net->wants_room = true;
		arm(vm);
		return false;
	}
	if (rc < 0)
		net->lost_out++;
	if (rc == -EPIPE) {		/* not here: the card is in the midst of its ring */
		net->pending_gone = net->pending = true;
		cpu_attend(&vm->cpu, ATTN_KICK);
	}
	return true;
}

static void on_receiver_ready(void *arg)
{
	struct vm *vm = arg;

	vm->net.pending = true;
	cpu_attend(&vm->cpu, ATTN_KICK);
}

/* --- what the network's process tells us --- */

static void on_watch(void *arg)
{
	struct vm *vm = arg;

	vm->net.pending = true;
	vm->net.armed = false;
}

/* false: the card takes no more, or there is nothing. */
static bool take_one(struct vm *vm)
{
	struct vm_net *net = &vm->net;

	if (net->held == 0) {
		int n = net_receive(net->fd, &net->message);

		if (n == -EPIPE)
			net->pending_gone = true;
		if (n < 0)
			return false;
		uint32_t lost = net->message.lost - (uint32_t)net->lost_in;
		if (lost != 0)
			e1000_missed(&vm->chipset.net.card, lost);
		net->lost_in += lost;
		net->held = n;
	}
	if (net->held > 0 && !e1000_receive(&vm->chipset.net.card, net->message.frame, (size_t)net->held, vm_now(vm)))
		return false;
	net->held = 0;
	return true;
}

void vm_net_service(struct vm *vm)
{
	struct vm_net *net = &vm->net;
	unsigned n = 0;

	if (!net->pending || vm->paused || net->fd < 0)
		return;
	net->pending = false;
	if (net->wants_room && !net->pending_gone) {
		net->wants_room = false;
		e1000_room(&vm->chipset.net.card, vm_now(vm));
	}
	while (n < VISIT_FRAMES && !net->pending_gone && take_one(vm))
		n++;
	if (net->pending_gone)
		gone(vm);
	else
		arm(vm);
}

const char *vm_net_name(const struct vm *vm)
{
	const struct net_config *cfg = &vm->cfg->net;

	return cfg->card_id ? cfg->card_id : cfg->id ? cfg->id : "net0";
}

int vm_net_set_link(struct vm *vm, const char *name, bool up, struct error *err)
{
	const struct net_config *cfg = &vm->cfg->net;

	if (!vm->chipset.net.present || (strcmp(name, vm_net_name(vm)) != 0 && (cfg->id == NULL || strcmp(name, cfg->id) != 0)))
		return error_set(err, -ENOENT, "there is no network card '%s' (info network names it)", name);
	if (up && vm->net.fd < 0)
		return error_set(err, -ENOTCONN, "the card '%s' is on no network", name);
	e1000_set_cable(&vm->chipset.net.card, up, vm_now(vm));
	return 0;
}

void vm_net_resume(struct vm *vm)
{
	vm->net.pending = true;
}

/* --- life --- */

static int load_rom(struct vm *vm, struct error *err)
{
	struct vm_net *net = &vm->net;
	const char *path = vm->cfg->net.rom;
	char found[256];

	if (!vm->firmware || (path && !*path))
		return 0;
	if (path == NULL)
		path = firmware_find("pxe-e1000.rom", found, sizeof(found));
	if (path == NULL)
		return 0;
	int rc = host_file_open(&net->rom, "network card's ROM", path, err);
	if (rc < 0)
		return rc;
	if (net->rom.size > CHIPSET_NET_ROM_MAX || net->rom.size < 512 || net->rom.data[0] != 0x55 || net->rom.data[1] != 0xAA)
		return error_set(err, -EINVAL, "network card's ROM '%s': not an option ROM of at most %u KiB", path, CHIPSET_NET_ROM_MAX >> 10);
	net->rom.path = NULL;		/* was perhaps found[] */
	return 0;
}

int vm_net_init(struct vm *vm, struct error *err)
{
	struct vm_net *net = &vm->net;
	const struct net_config *cfg = &vm->cfg->net;
	struct e1000_host host = { .arg = vm, .send = on_send, .receiver_ready = on_receiver_ready };

	net->fd = cfg->user ? vm->cfg->net_process.fd : -1;
	if (!cfg->card)
		return 0;
	int rc = load_rom(vm, err);
	if (rc < 0)
		return rc;
	chipset_attach_net(&vm->chipset, cfg->mac, &host, net->rom.data, net->rom.size);
	if (net->fd < 0)
		return 0;
	net->watch = host_io_add(&vm->io, net->fd, EPOLLIN, on_watch, vm);
	if (net->watch == NULL)
		return error_set(err, -errno, "cannot watch the network's socket: %s", strerror(errno));
	net->armed = true;
	e1000_set_cable(&vm->chipset.net.card, true, 0);
	return 0;
}

void vm_net_close(struct vm *vm)
{
	struct vm_net *net = &vm->net;

	if (net->watch)
		host_io_remove(&vm->io, net->watch);
	net->watch = NULL;
	if (net->fd > 0)
		close(net->fd);
	net->fd = -1;
	if (net->rom.size)
		host_file_close(&net->rom);
	net->rom.size = 0;
}
