/*
 * 16550A UART.
 */
#ifndef PLEX86_DEV_UART_H
#define PLEX86_DEV_UART_H

#include "util/types.h"

#define UART_FIFO 16

struct uart {
	uint8_t ier, fcr, lcr, mcr, msr, lsr, scr;
	uint16_t divisor;
	uint8_t inputs;			/* modem inputs from outside, in MSR positions 7:4 */
	/* receiver: FIFO of data with the error bits (LSR 4:2) that came with each byte */
	uint8_t rx[UART_FIFO], rx_err[UART_FIFO];
	uint8_t rx_head, rx_count;
	uint8_t rbr;			/* RBR when the FIFO is empty: the last byte */
	uint8_t rx_errors;		/* bytes in the FIFO with an error */
	bool timeout;			/* character time-out interrupt is due */
	ns_t rx_last;			/* time of the last receive or read, for the time-out */
	/* transmitter: bytes the board has not taken yet */
	uint8_t tx[UART_FIFO];
	uint8_t tx_head, tx_count;
	bool thre_pending;		/* THR-empty interrupt is due */
};

/* Power-on and RESET. */
void uart_reset(struct uart *uart);

/* reg: 0..7 */
uint8_t uart_read(struct uart *uart, unsigned reg, ns_t now);
void uart_write(struct uart *uart, unsigned reg, uint8_t val, ns_t now);

/* A byte arrives. false: no room (nothing is lost; the wire is held up as hardware flow control would). */
bool uart_receive(struct uart *uart, uint8_t byte, ns_t now);
/* The same with line errors: LSR bits 2 PE, 3 FE, 4 BI. Without room this is an overrun. */
void uart_receive_error(struct uart *uart, uint8_t byte, uint8_t errors, ns_t now);
/* Modem inputs: MSR bits 4 CTS, 5 DSR, 6 RI, 7 DCD. */
void uart_set_inputs(struct uart *uart, uint8_t inputs);

/* Bytes to be sent, oldest first: how many are at *buf in one piece; uart_sent() takes n of them off. */
unsigned uart_tx(const struct uart *uart, const uint8_t **buf);
void uart_sent(struct uart *uart, unsigned n);

void uart_update(struct uart *uart, ns_t now);
/* The interrupt pin. */
bool uart_irq(const struct uart *uart);
ns_t uart_next(const struct uart *uart, ns_t now);

#endif
