#include "cli/network.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/drives.h"

#define CARD		"e1000"

static const uint8_t usual_mac[6] = { 0x52, 0x54, 0x00, 0x12, 0x34, 0x56 };	/* what QEMU gives its first */

/* --- values --- */

static int parse_mac(const char *option, const char *text, uint8_t mac[6], struct error *err)
{
	unsigned b[6];
	int end = 0;

	/* sscanf() would take signs and blanks, too. */
	if (strspn(text, "0123456789abcdefABCDEF:") != strlen(text) ||
	    sscanf(text, "%2x:%2x:%2x:%2x:%2x:%2x%n", &b[0], &b[1], &b[2], &b[3], &b[4], &b[5], &end) != 6 || text[end] != '\0')
		return error_set(err, -EINVAL, "%s mac=%s: not an address (as 52:54:00:12:34:56)", option, text);
	if (b[0] & 1)
		return error_set(err, -EINVAL, "%s mac=%s: is a group's address, no card's (its first byte must be even)", option, text);
	for (unsigned i = 0; i < 6; i++)
		mac[i] = (uint8_t)b[i];
	return 0;
}

static int parse_address(const char *key, const char *text, struct in_addr *a, struct error *err)
{
	return inet_pton(AF_INET, text, a) == 1 ? 0 : error_set(err, -EINVAL, "%s=%s: not an IPv4 address", key, text);
}

static int parse_switch(const char *key, const char *text, bool *on, struct error *err)
{
	*on = strcmp(text, "on") == 0 || strcmp(text, "yes") == 0 || strcmp(text, "y") == 0;
	return *on || strcmp(text, "off") == 0 || strcmp(text, "no") == 0 || strcmp(text, "n") == 0 ? 0 :
	    error_set(err, -EINVAL, "%s=%s: it is on or off", key, text);
}

static bool parse_port(const char *text, size_t len, uint16_t *port)
{
	char digits[8];
	uint64_t n = 0;

	if (len == 0 || len >= sizeof(digits))
		return false;
	snprintf(digits, sizeof(digits), "%.*s", (int)len, text);
	bool ok = parse_number(digits, 65535, &n) && n != 0;
	*port = (uint16_t)n;
	return ok;
}

/* "ADDRESS:PORT", the address perhaps left out. */
static bool parse_end(const char *text, size_t len, struct in_addr *a, uint16_t *port)
{
	const char *colon = memchr(text, ':', len);
	char address[INET_ADDRSTRLEN];

	a->s_addr = 0;
	if (colon == NULL || colon - text >= (ptrdiff_t)sizeof(address))
		return false;
	snprintf(address, sizeof(address), "%.*s", (int)(colon - text), text);
	return (address[0] == '\0' || inet_pton(AF_INET, address, a) == 1) && parse_port(colon + 1, len - (size_t)(colon + 1 - text), port);
}

/* "[tcp|udp]:[HOSTADDR]:HOSTPORT-[GUESTADDR]:GUESTPORT" */
static int parse_forward(struct net_user_config *u, const char *text, struct error *err)
{
	const char *rest = strchr(text, ':'), *dash = rest ? strrchr(text, '-') : NULL;
	struct net_forward f = { .udp = strncmp(text, "udp:", 4) == 0 };

	if (u->nforwards == NET_FORWARDS)
		return error_set(err, -EINVAL, "hostfwd: at most %u ports", NET_FORWARDS);
	if (rest == NULL || dash < rest || !(f.udp || rest == text || strncmp(text, "tcp:", 4) == 0) ||
	    !parse_end(rest + 1, (size_t)(dash - rest - 1), &f.host, &f.host_port) || !parse_end(dash + 1, strlen(dash + 1), &f.guest, &f.guest_port))
		return error_set(err, -EINVAL, "hostfwd=%s: it is tcp|udp:[HOSTADDR]:HOSTPORT-[GUESTADDR]:GUESTPORT, as tcp:127.0.0.1:2222-:22", text);
	u->forward[u->nforwards++] = f;
	return 0;
}

/* "10.0.2.0/24", "10.0.2.0/255.255.255.0", "10.0.2.0" */
static int parse_net(struct net_user_config *u, const char *text, struct error *err)
{
	char address[32];
	const char *slash = strchr(text, '/');
	uint64_t bits = 24;

	snprintf(address, sizeof(address), "%.*s", slash ? (int)MIN(slash - text, 31) : 31, text);
	u->mask.s_addr = htonl(0xFFFFFF00);
	if (slash && !parse_number(slash + 1, 30, &bits) && inet_pton(AF_INET, slash + 1, &u->mask) != 1)
		return error_set(err, -EINVAL, "net=%s: it is ADDRESS/BITS, as 10.0.2.0/24", text);
	if (slash && strchr(slash, '.') == NULL)
		u->mask.s_addr = htonl(bits ? 0xFFFFFFFFu << (32 - bits) : 0);
	uint32_t mask = ntohl(u->mask.s_addr);
	if (inet_pton(AF_INET, address, &u->net) != 1 || (~mask & (~mask + 1)) != 0 || ~mask < 31)
		return error_set(err, -EINVAL, "net=%s: it is ADDRESS/BITS, with at most 27 bits, as 10.0.2.0/24", text);
	u->net.s_addr &= u->mask.s_addr;
	return u->net.s_addr ? 0 : error_set(err, -EINVAL, "net=%s: is no network's address (as 10.0.2.0/24)", text);
}

/* --- the network --- */

/* A property of -netdev user. 0, -ENOENT: it is none of them, or an error. */
static int user_property(struct net_user_config *u, const char *key, const char *val, struct error *err)
{
	static const struct { const char *key; size_t at; } addresses[] = { { "host", offsetof(struct net_user_config, host) },
	    { "dhcpstart", offsetof(struct net_user_config, dhcp_start) }, { "dns", offsetof(struct net_user_config, dns) } };
	static const struct { const char *key; size_t at; } texts[] = { { "hostname", offsetof(struct net_user_config, hostname) },
	    { "domainname", offsetof(struct net_user_config, domain) }, { "tftp", offsetof(struct net_user_config, tftp) },
	    { "bootfile", offsetof(struct net_user_config, bootfile) } };
	bool on = false;

	for (size_t i = 0; i < ARRAY_LEN(addresses); i++)
		if (strcmp(key, addresses[i].key) == 0)
			return parse_address(key, val, (struct in_addr *)((char *)u + addresses[i].at), err);
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		if (strcmp(key, texts[i].key) == 0) {
			*(const char **)((char *)u + texts[i].at) = val;
			if (strcmp(key, "tftp") == 0 && access(val, R_OK | X_OK) < 0)
				return error_set(err, -errno, "tftp=%s: %s", val, strerror(errno));
			return 0;
		}
	if (strcmp(key, "hostfwd") == 0)
		return parse_forward(u, val, err);
	if (strcmp(key, "net") == 0)
		return parse_net(u, val, err);
	if (strcmp(key, "restrict") == 0 || strcmp(key, "ipv4") == 0 || strcmp(key, "ipv6") == 0) {
		int rc = parse_switch(key, val, &on, err);

		if (key[0] == 'r')
			u->restricted = on;
		else
			*(key[3] == '4' ? &u->no_ipv4 : &u->no_ipv6) = !on;
		return rc;
	}
	return -ENOENT;
}

static int check_user(const struct net_user_config *u, struct error *err)
{
	struct net_user_config all = *u;

	net_user_defaults(&all);
	const uint32_t in[] = { all.host.s_addr, all.dhcp_start.s_addr, all.dns.s_addr };
	for (size_t i = 0; i < ARRAY_LEN(in); i++) {
		if ((in[i] & all.mask.s_addr) != all.net.s_addr)
			return error_set(err, -EINVAL, "-netdev user: host=, dhcpstart= and dns= must lie in net=");
		if (in[i] == in[(i + 1) % ARRAY_LEN(in)])
			return error_set(err, -EINVAL, "-netdev user: host=, dhcpstart= and dns= must differ (where not given: .2, .15 and .3 of net=)");
	}
	if (u->no_ipv4 && u->no_ipv6)
		return error_set(err, -EINVAL, "-netdev user: ipv4=off and ipv6=off leave nothing");
	return 0;
}

static int wrong_backend(const char *option, const char *kind, struct error *err)
{
	return error_set(err, -EINVAL, "%s '%s': cannot be had: the network is user (a user-mode network: the guest reaches out, "
	    "hostfwd= leads in), or none", option, kind);
}

/* --- the card --- */

const char *network_other_card(const char *name)
{
	static const char *const begins[] = { "e1000e", "e1000-", "igb", "rtl8139", "ne2k", "pcnet", "i825", "vmxnet", "virtio-net", "tulip", "usb-net" };

	for (size_t i = 0; i < ARRAY_LEN(begins); i++)
		if (strncmp(name, begins[i], strlen(begins[i])) == 0)
			return "the network card is an e1000";
	return NULL;
}

static bool is_card(const char *name)
{
	return strcmp(name, CARD) == 0 || strcmp(name, CARD "-82540em") == 0;
}

bool network_is_device(const char *arg, size_t len)
{
	char name[32];

	snprintf(name, sizeof(name), "%.*s", (int)MIN(len, sizeof(name) - 1), arg);
	return is_card(name);
}

static int add_card(struct options *o, const char *option, struct error *err)
{
	if (o->vm.net.card)
		return error_set(err, -EINVAL, "%s: the machine has one network card, and there is one already", option);
	o->vm.net.card = true;
	memcpy(o->vm.net.mac, usual_mac, sizeof(usual_mac));
	return 0;
}

/* 0, -ENOENT: it is none of them, or an error. */
static int card_property(struct options *o, const char *option, const char *key, const char *val, struct error *err)
{
	if (strcmp(key, "mac") == 0 || strcmp(key, "macaddr") == 0)
		return parse_mac(option, val, o->vm.net.mac, err);
	if (strcmp(key, "model") != 0)
		return -ENOENT;
	if (strcmp(val, "help") == 0 || strcmp(val, "?") == 0) {
		puts("Network cards:\n  e1000    Intel 82540EM");
		o->command = CLI_DONE;
		return 0;
	}
	return is_card(val) ? 0 : error_set(err, -EINVAL, "%s model=%s: cannot be had: the network card is an e1000", option, val);
}

static struct cli_netdev *find_netdev(struct options *o, const char *id)
{
	for (unsigned i = 0; i < o->nnetdevs; i++)
		if (o->netdev[i].id && strcmp(o->netdev[i].id, id) == 0)
			return &o->netdev[i];
	return NULL;
}

static struct cli_netdev *add_netdev(struct options *o, const char *option, struct error *err)
{
	if (o->nnetdevs == CLI_NETDEVS) {
		error_set(err, -EINVAL, "%s: at most %u networks", option, CLI_NETDEVS);
		return NULL;
	}
	struct cli_netdev *n = &o->netdev[o->nnetdevs++];
	*n = (struct cli_netdev){ .option = option };
	return n;
}

/* The properties after the first word: of the network, and (with_card) of the card. */
static int read_list(struct options *o, struct cli_netdev *n, const char *option, char *at, bool with_card, struct error *err)
{
	char *key, *val;

	while (drives_next_property(&at, &key, &val)) {
		if (*key == '\0')
			continue;
		if (val == NULL)
			return error_set(err, -EINVAL, "%s: '%s' is not PROPERTY=VALUE", option, key);
		int rc = strcmp(key, "id") == 0 || strcmp(key, "name") == 0 ? (n->id = val, 0) : user_property(&n->user, key, val, err);
		if (rc == -ENOENT && with_card)
			rc = card_property(o, option, key, val, err);
		if (rc == -ENOENT)
			return error_set(err, -EINVAL, "%s: '%s=%s' cannot be had (hostfwd=, restrict=, net=, host=, dhcpstart=, dns=, hostname=, "
			    "domainname=, tftp=, bootfile=, ipv4=, ipv6=%s)", option, key, val, with_card ? ", mac=, model=" : "");
		if (rc < 0)
			return rc;
	}
	return check_user(&n->user, err);
}

/* The first word of a list, and the rest. */
static char *cut_word(struct options *o, const char *arg, const char *key, char **rest)
{
	char *text = options_keep(o, options_front(o, arg, key)), *comma = text ? strchr(text, ',') : NULL;

	*rest = comma ? comma + 1 : text ? text + strlen(text) : NULL;
	if (comma)
		*comma = '\0';
	return text;
}

int network_nic(struct options *o, const char *arg, struct error *err)
{
	char *rest, *kind = cut_word(o, arg, "type", &rest);

	if (kind == NULL)
		return error_set(err, -ENOMEM, "-nic: no memory");
	if (strcmp(kind, "none") == 0)
		return 0;
	if (strncmp(kind, "model=", 6) == 0)	/* "model=help" */
		return card_property(o, "-nic", "model", kind + 6, err) < 0 ? -EINVAL :
		    o->command == CLI_DONE ? 0 : error_set(err, -EINVAL, "-nic %s: say which network: user, or none", arg);
	if (strcmp(kind, "user") != 0)
		return wrong_backend("-nic", kind, err);
	struct cli_netdev *n = add_netdev(o, "-nic", err);
	if (n == NULL || add_card(o, "-nic", err) < 0)
		return -EINVAL;
	n->used = true;
	o->card_on = n;
	return read_list(o, n, "-nic", rest, true, err);
}

int network_netdev(struct options *o, const char *arg, struct error *err)
{
	char *rest, *kind = cut_word(o, arg, "type", &rest);

	if (kind == NULL)
		return error_set(err, -ENOMEM, "-netdev: no memory");
	if (strcmp(kind, "help") == 0 || strcmp(kind, "?") == 0) {
		puts("Networks:\n  user    a user-mode network");
		o->command = CLI_DONE;
		return 0;
	}
	if (strcmp(kind, "user") != 0)
		return wrong_backend("-netdev", kind, err);
	struct cli_netdev *n = add_netdev(o, "-netdev", err);
	int rc = n ? read_list(o, n, "-netdev", rest, false, err) : -EINVAL;
	if (rc < 0)
		return rc;
	if (n->id == NULL)
		return error_set(err, -EINVAL, "-netdev %s: has no id= that a -device could name", arg);
	for (unsigned i = 0; i + 1 < o->nnetdevs; i++)
		if (o->netdev[i].id && strcmp(o->netdev[i].id, n->id) == 0)
			return error_set(err, -EINVAL, "-netdev: there is an id=%s already", n->id);
	return 0;
}

/* "nic[,model=][,macaddr=][,netdev=ID]", "user[,...]", "none": card and network meet without a name. */
int network_net(struct options *o, const char *arg, struct error *err)
{
	char *rest, *key, *val, *kind = cut_word(o, arg, "type", &rest);

	if (kind == NULL)
		return error_set(err, -ENOMEM, "-net: no memory");
	if (strcmp(kind, "none") == 0)
		return 0;
	if (strcmp(kind, "user") == 0) {
		struct cli_netdev *n = add_netdev(o, "-net", err);

		o->net_user = n;
		return n ? read_list(o, n, "-net user", rest, false, err) : -EINVAL;
	}
	if (strcmp(kind, "nic") != 0)
		return wrong_backend("-net", kind, err);
	int rc = add_card(o, "-net nic", err);
	o->net_nic = true;
	while (rc == 0 && drives_next_property(&rest, &key, &val)) {
		if (val && strcmp(key, "netdev") == 0)
			o->card_netdev = val;
		else if (val == NULL || (strcmp(key, "name") != 0 && strcmp(key, "vlan") != 0))
			rc = val ? card_property(o, "-net nic", key, val, err) : -ENOENT;
		if (rc == -ENOENT)
			return error_set(err, -EINVAL, "-net nic: '%s' cannot be had (model=, macaddr=, netdev=, name=)", key);
	}
	return rc;
}

int network_device(struct options *o, const char *arg, struct error *err)
{
	char *rest, *key, *val;
	int rc = cut_word(o, arg, "driver", &rest) ? add_card(o, "-device " CARD, err) : -ENOMEM;

	while (rc == 0 && drives_next_property(&rest, &key, &val)) {
		uint64_t n = 0;

		if (val == NULL)
			return error_set(err, -EINVAL, "-device " CARD ": '%s' is not PROPERTY=VALUE", key);
		if (strcmp(key, "netdev") == 0)
			o->card_netdev = val;
		else if (strcmp(key, "id") == 0)
			o->vm.net.card_id = val;
		else if (strcmp(key, "romfile") == 0)
			o->vm.net.rom = val;
		else if (strcmp(key, "rombar") == 0 && strcmp(val, "0") == 0)
			o->vm.net.rom = "";
		else if (strcmp(key, "bootindex") == 0 && parse_number(val, 1000, &n))
			o->vm.net.boot_rank = (unsigned)n + 1;
		else if (strcmp(key, "mac") == 0)
			rc = parse_mac("-device " CARD, val, o->vm.net.mac, err);
		else if (strcmp(key, "bus") != 0 && !(strcmp(key, "addr") == 0 && strtoul(val, NULL, 16) == CHIPSET_NET_DEVFN >> 3))
			return error_set(err, -EINVAL, "-device " CARD ": '%s=%s' cannot be had (netdev=, mac=, romfile=, bootindex=, addr=3)", key, val);
	}
	return rc;
}

int network_check(struct options *o, struct error *err)
{
	struct net_config *net = &o->vm.net;
	struct cli_netdev *n = o->card_on;

	if (n == NULL && o->card_netdev) {
		n = find_netdev(o, o->card_netdev);
		if (n == NULL)
			return error_set(err, -EINVAL, "netdev=%s: there is no -netdev of this id", o->card_netdev);
	}
	if (n == NULL && o->net_nic)
		n = o->net_user;
	if (n)
		n->used = true;
	for (unsigned i = 0; i < o->nnetdevs; i++)
		if (!o->netdev[i].used)
			return error_set(err, -EINVAL, "%s%s%s: no card is on it (-device e1000,netdev=ID; with -net user: -net nic)", o->netdev[i].option, o->netdev[i].id ? " id=" : "",
			    o->netdev[i].id ? o->netdev[i].id : "");
	if (n == NULL)
		return 0;
	net->user = true;
	net->id = n->id;
	net->at = n->user;
	return 0;
}
