/*
 * UART: the 16550A behind COM1..COM4.					[PC16550D]
 *
 * The receiver has the 16-byte FIFO with its trigger levels and time-out; bytes from outside come
 * only when there is room, so the guest never sees an overrun that the host's speed caused. The
 * transmitter passes bytes on at once: THR is empty again as soon as the board has taken them.
 *
 * Left out: the buffer between interrupt pin and bus that OUT2 opens on IBM's adapter; pacing of the line by the divisor; parity and framing errors arise only from outside.
 */
#include "dev/uart.h"

#include <string.h>

#define NEVER UINT64_MAX

enum { IER_RX = 0x01, IER_THRE = 0x02, IER_LINE = 0x04, IER_MODEM = 0x08 };
enum { IIR_NONE = 0x01, IIR_MODEM = 0x00, IIR_THRE = 0x02, IIR_RX = 0x04, IIR_LINE = 0x06, IIR_TIMEOUT = 0x0C };
enum { FCR_ENABLE = 0x01, FCR_CLEAR_RX = 0x02, FCR_CLEAR_TX = 0x04 };
enum { LCR_STB = 0x04, LCR_PEN = 0x08, LCR_BREAK = 0x40, LCR_DLAB = 0x80 };
enum { MCR_DTR = 0x01, MCR_RTS = 0x02, MCR_OUT1 = 0x04, MCR_OUT2 = 0x08, MCR_LOOP = 0x10 };
enum {
	LSR_DR = 0x01, LSR_OE = 0x02, LSR_PE = 0x04, LSR_FE = 0x08, LSR_BI = 0x10, LSR_THRE = 0x20,
	LSR_TEMT = 0x40, LSR_FIFO_ERROR = 0x80,
	LSR_ERRORS = LSR_OE | LSR_PE | LSR_FE | LSR_BI,
};
enum { MSR_DCTS = 0x01, MSR_DDSR = 0x02, MSR_TERI = 0x04, MSR_DDCD = 0x08, MSR_CTS = 0x10, MSR_DSR = 0x20,
	MSR_RI = 0x40, MSR_DCD = 0x80 };

void uart_reset(struct uart *uart)
{
	uint8_t inputs = uart->inputs;

	memset(uart, 0, sizeof(*uart));
	uart->inputs = inputs;
	uart->msr = inputs;
	uart->lsr = LSR_THRE | LSR_TEMT;
	uart->divisor = 1;
}

static unsigned uart_depth(const struct uart *uart)
{
	return uart->fcr & FCR_ENABLE ? UART_FIFO : 1;
}

/* One character on the line: start, data, parity, stop bits at the programmed rate. */
static ns_t uart_char_ns(const struct uart *uart)
{
	unsigned bits = 1 + 5 + (uart->lcr & 3) + (uart->lcr & LCR_PEN ? 1 : 0) + (uart->lcr & LCR_STB ? 2 : 1);

	return (ns_t)bits * (uart->divisor ? uart->divisor : 65536u) * 1000000000u / 115200;
}

static unsigned uart_trigger(const struct uart *uart)
{
	static const uint8_t level[4] = { 1, 4, 8, 14 };

	return uart->fcr & FCR_ENABLE ? level[uart->fcr >> 6] : 1;
}

/* --- receiver --- */

/* The oldest byte's errors show in LSR when it comes to the top of the FIFO. */
static void uart_show_top(struct uart *uart)
{
	if (uart->rx_count == 0) {
		uart->lsr &= ~LSR_DR;
	} else {
		uart->lsr |= LSR_DR;
		uart->lsr |= uart->rx_err[uart->rx_head];
	}
	if ((uart->fcr & FCR_ENABLE) && uart->rx_errors != 0)
		uart->lsr |= LSR_FIFO_ERROR;
	else
		uart->lsr &= ~LSR_FIFO_ERROR;
}

static void uart_push(struct uart *uart, uint8_t byte, uint8_t errors, ns_t now)
{
	unsigned tail;

	if (uart->rx_count >= uart_depth(uart)) {	/* FIFO: the new byte is lost; without: the old one */
		uart->lsr |= LSR_OE;
		if (uart->fcr & FCR_ENABLE)
			return;
		uart->rx_errors -= uart->rx_err[uart->rx_head] != 0;
		uart->rx_count = 0;
	}
	tail = (uart->rx_head + uart->rx_count) % UART_FIFO;
	uart->rx[tail] = byte;
	uart->rx_err[tail] = errors;
	uart->rx_count++;
	uart->rx_errors += errors != 0;
	uart->rx_last = now;
	uart->timeout = false;
	uart_show_top(uart);
}

bool uart_receive(struct uart *uart, uint8_t byte, ns_t now)
{
	if (uart->mcr & MCR_LOOP)
		return true;			/* the receiver is cut off the line: the byte is lost */
	if (uart->rx_count >= uart_depth(uart))
		return false;
	uart_push(uart, byte, 0, now);
	return true;
}

void uart_receive_error(struct uart *uart, uint8_t byte, uint8_t errors, ns_t now)
{
	if (!(uart->mcr & MCR_LOOP))
		uart_push(uart, byte, errors & (LSR_PE | LSR_FE | LSR_BI), now);
}

static uint8_t uart_read_rbr(struct uart *uart, ns_t now)
{
	if (uart->rx_count == 0)
		return uart->rbr;
	uart->rbr = uart->rx[uart->rx_head];
	uart->rx_errors -= uart->rx_err[uart->rx_head] != 0;
	uart->rx_head = (uart->rx_head + 1) % UART_FIFO;
	uart->rx_count--;
	uart->rx_last = now;
	uart->timeout = false;
	uart_show_top(uart);
	return uart->rbr;
}

static void uart_clear_rx(struct uart *uart)
{
	uart->rx_head = uart->rx_count = uart->rx_errors = 0;
	uart->timeout = false;
	uart_show_top(uart);
}

/* --- transmitter --- */

static void uart_tx_state(struct uart *uart)
{
	if (uart->tx_count == 0)
		uart->lsr |= LSR_THRE | LSR_TEMT;
	else
		uart->lsr &= ~(LSR_THRE | LSR_TEMT);
}

static void uart_write_thr(struct uart *uart, uint8_t val, ns_t now)
{
	uart->thre_pending = false;
	if (uart->mcr & MCR_LOOP) {		/* straight into the own receiver */
		uart_push(uart, val, 0, now);
		uart->thre_pending = true;
		return;
	}
	if (uart->tx_count < uart_depth(uart)) {
		uart->tx[(uart->tx_head + uart->tx_count++) % UART_FIFO] = val;
	} else if (!(uart->fcr & FCR_ENABLE)) {
		uart->tx[uart->tx_head] = val;	/* THR is overwritten; a full FIFO drops the byte */
	}
	uart_tx_state(uart);
}

unsigned uart_tx(const struct uart *uart, const uint8_t **buf)
{
	*buf = &uart->tx[uart->tx_head];
	return MIN(uart->tx_count, UART_FIFO - uart->tx_head);
}

void uart_sent(struct uart *uart, unsigned n)
{
	if (n == 0)
		return;
	uart->tx_head = (uart->tx_head + n) % UART_FIFO;
	uart->tx_count -= n;
	uart_tx_state(uart);
	if (uart->tx_count == 0)
		uart->thre_pending = true;
}

/* --- modem --- */

/* The inputs the chip sees: outside, or in loopback its own outputs.	[PC16550D "Modem Control Register"] */
static uint8_t uart_modem_inputs(const struct uart *uart)
{
	uint8_t in = 0;

	if (!(uart->mcr & MCR_LOOP))
		return uart->inputs;
	in |= uart->mcr & MCR_RTS ? MSR_CTS : 0;
	in |= uart->mcr & MCR_DTR ? MSR_DSR : 0;
	in |= uart->mcr & MCR_OUT1 ? MSR_RI : 0;
	in |= uart->mcr & MCR_OUT2 ? MSR_DCD : 0;
	return in;
}

static void uart_modem_changed(struct uart *uart)
{
	uint8_t in = uart_modem_inputs(uart), changed = (uart->msr ^ in) & 0xF0;

	uart->msr = (uart->msr & 0x0F) | in;
	uart->msr |= changed & MSR_CTS ? MSR_DCTS : 0;
	uart->msr |= changed & MSR_DSR ? MSR_DDSR : 0;
	uart->msr |= changed & MSR_DCD ? MSR_DDCD : 0;
	uart->msr |= (changed & MSR_RI) && !(in & MSR_RI) ? MSR_TERI : 0;	/* trailing edge only */
}

void uart_set_inputs(struct uart *uart, uint8_t inputs)
{
	uart->inputs = inputs & 0xF0;
	uart_modem_changed(uart);
}

/* --- interrupts, highest first ---			[PC16550D "Interrupt Identification Register"] */

static uint8_t uart_cause(const struct uart *uart)
{
	if ((uart->ier & IER_LINE) && (uart->lsr & LSR_ERRORS))
		return IIR_LINE;
	if ((uart->ier & IER_RX) && uart->rx_count >= uart_trigger(uart))
		return IIR_RX;
	if ((uart->ier & IER_RX) && uart->timeout)
		return IIR_TIMEOUT;
	if ((uart->ier & IER_THRE) && uart->thre_pending)
		return IIR_THRE;
	if ((uart->ier & IER_MODEM) && (uart->msr & 0x0F))
		return IIR_MODEM;
	return IIR_NONE;
}

bool uart_irq(const struct uart *uart)
{
	/* The chip's pin knows no OUT2. IBM's adapter put a buffer behind it that OUT2 opens; a machine without one
	 * serves the drivers that set OUT2 and the small systems, xv6 among them, that write 0 to MCR. */
	return uart_cause(uart) != IIR_NONE;
}

/* Bytes below the trigger level for four character times.	[PC16550D "FIFO Interrupt Mode Operation"] */
static ns_t uart_timeout_at(const struct uart *uart)
{
	if (!(uart->fcr & FCR_ENABLE) || uart->rx_count == 0 || uart->timeout)
		return NEVER;
	return uart->rx_last + 4 * uart_char_ns(uart);
}

void uart_update(struct uart *uart, ns_t now)
{
	if (uart_timeout_at(uart) <= now)
		uart->timeout = true;
}

ns_t uart_next(const struct uart *uart, ns_t now)
{
	if (!(uart->ier & IER_RX) || uart->rx_count >= uart_trigger(uart))
		return NEVER;
	return uart_timeout_at(uart);
}

/* --- registers --- */

static void uart_write_fcr(struct uart *uart, uint8_t val)
{
	if ((uart->fcr ^ val) & FCR_ENABLE) {	/* changing the mode empties both */
		uart_clear_rx(uart);
		val |= FCR_CLEAR_TX;
	}
	if (!(val & FCR_ENABLE)) {		/* the other bits are programmed only with this one */
		uart->fcr = 0;
	} else {
		uart->fcr = val & 0xC9;
		if (val & FCR_CLEAR_RX)
			uart_clear_rx(uart);
	}
	if ((val & FCR_CLEAR_TX) && uart->tx_count != 0) {
		uart->tx_count = uart->tx_head = 0;
		uart_tx_state(uart);
		uart->thre_pending = true;
	}
	uart_show_top(uart);
}

static void uart_write_ier(struct uart *uart, uint8_t val)
{
	/* Enabling the THRE interrupt while THR is empty interrupts at once. */
	if ((val & IER_THRE) && !(uart->ier & IER_THRE) && (uart->lsr & LSR_THRE))
		uart->thre_pending = true;
	uart->ier = val & 0x0F;
}

uint8_t uart_read(struct uart *uart, unsigned reg, ns_t now)
{
	bool dlab = uart->lcr & LCR_DLAB;
	uint8_t val;

	uart_update(uart, now);
	switch (reg & 7) {
	case 0: return dlab ? (uint8_t)uart->divisor : uart_read_rbr(uart, now);
	case 1: return dlab ? (uint8_t)(uart->divisor >> 8) : uart->ier;
	case 2:
		val = uart_cause(uart);
		if (val == IIR_THRE)
			uart->thre_pending = false;	/* reading it as the source ends it */
		return val | (uart->fcr & FCR_ENABLE ? 0xC0 : 0);
	case 3: return uart->lcr;
	case 4: return uart->mcr;
	case 5:
		val = uart->lsr;
		uart->lsr &= ~LSR_ERRORS;
		if (uart->rx_count != 0 && uart->rx_err[uart->rx_head] != 0) {
			uart->rx_err[uart->rx_head] = 0;	/* told */
			uart->rx_errors--;
		}
		uart_show_top(uart);
		return val;
	case 6:
		val = uart->msr;
		uart->msr &= 0xF0;
		return val;
	default: return uart->scr;
	}
}

void uart_write(struct uart *uart, unsigned reg, uint8_t val, ns_t now)
{
	bool dlab = uart->lcr & LCR_DLAB;

	uart_update(uart, now);
	switch (reg & 7) {
	case 0:
		if (dlab)
			uart->divisor = (uart->divisor & 0xFF00) | val;
		else
			uart_write_thr(uart, val, now);
		break;
	case 1:
		if (dlab)
			uart->divisor = (uint16_t)((uart->divisor & 0xFF) | val << 8);
		else
			uart_write_ier(uart, val);
		break;
	case 2: uart_write_fcr(uart, val); break;
	case 3:
		/* In loopback the break comes back as one.	[PC16550D "Line Control Register"] */
		if ((val & ~uart->lcr & LCR_BREAK) && (uart->mcr & MCR_LOOP))
			uart_push(uart, 0, LSR_BI | LSR_FE, now);
		uart->lcr = val;
		break;
	case 4:
		uart->mcr = val & 0x1F;
		uart_modem_changed(uart);
		break;
	case 5: case 6: break;			/* factory test only */
	default: uart->scr = val;
	}
}
