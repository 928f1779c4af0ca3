/*
 * The options of the network: -nic, -netdev with -device e1000, and the older -net.
 */
#ifndef PLEX86_CLI_NETWORK_H
#define PLEX86_CLI_NETWORK_H

#include "cli/options.h"

int network_nic(struct options *o, const char *arg, struct error *err);
int network_netdev(struct options *o, const char *arg, struct error *err);
int network_net(struct options *o, const char *arg, struct error *err);
bool network_is_device(const char *arg, size_t len);
int network_device(struct options *o, const char *arg, struct error *err);	/* -device e1000,... */
const char *network_other_card(const char *name);	/* why a card of QEMU's cannot be had; NULL: it is none */
int network_check(struct options *o, struct error *err);	/* when all are known: into vm.net */

#endif
