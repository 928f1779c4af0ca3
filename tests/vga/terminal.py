"""A terminal's screen, as far as ncurses drives one of type xterm-256color: which characters are where.

Colours and modes are read over. What is not known raises an error, so that no picture is wrong in silence.
"""
import codecs
import re

SEQUENCE = re.compile(r'\x1b(?:\[([?>]?)([0-9;]*)([@-~])|([()])(.)|\]([^\x07]*)\x07|([=>78M]))')
PART = re.compile(r'\x1b(\[[?>]?[0-9;]*|[()]|\][^\x07]*)?$')


class Terminal:
    def __init__(self, rows, columns):
        self.rest, self.decoder = '', codecs.getincrementaldecoder('utf-8')('replace')
        self.resize(rows, columns)

    def resize(self, rows, columns):
        """Empties it too: whoever draws on it draws it all again."""
        self.rows, self.columns = rows, columns
        self.cell = [[' '] * columns for _ in range(rows)]
        self.row = self.column = self.top = 0
        self.bottom = rows - 1

    def text(self):
        return '\n'.join(''.join(line).rstrip() for line in self.cell)

    def feed(self, data):
        todo = self.rest + self.decoder.decode(data)
        at = 0
        while at < len(todo):
            if todo[at] != '\x1b':
                self.put(todo[at])
                at += 1
                continue
            match = SEQUENCE.match(todo, at)
            if match is None:
                break
            if match[3]:
                self.sequence(match[1], [int(n or 0) for n in match[2].split(';')], match[3])
            elif match[7] == 'M':
                self.scroll(-1) if self.row == self.top else self.move(self.row - 1, self.column)
            at = match.end()
        self.rest = todo[at:]
        assert not self.rest or PART.match(self.rest), f'an unknown sequence: {self.rest[:20]!r}'

    def put(self, c):
        if c == '\r':
            self.column = 0
        elif c == '\n':
            self.scroll(1) if self.row == self.bottom else self.move(self.row + 1, self.column)
        elif c == '\b':
            self.move(self.row, min(self.column, self.columns - 1) - 1)
        elif c == '\t':
            self.move(self.row, self.column // 8 * 8 + 8)
        elif c >= ' ':
            if self.column == self.columns:         # the last column's wrap comes with the next character
                self.column = 0
                self.put('\n')
            self.cell[self.row][self.column] = self.last = c
            self.column += 1

    def move(self, row, column):
        self.row, self.column = max(0, min(row, self.rows - 1)), max(0, min(column, self.columns - 1))

    def scroll(self, n):
        """Lines top to bottom go up by n, or down."""
        part = self.cell[self.top:self.bottom + 1]
        new = [[' '] * self.columns for _ in range(min(abs(n), len(part)))]
        self.cell[self.top:self.bottom + 1] = part[len(new):] + new if n > 0 else new + part[:len(part) - len(new)]

    def lines(self, n):
        """Lines from the cursor's down to bottom."""
        top, self.top = self.top, self.row
        self.scroll(n)
        self.top = top

    def erase(self, first, last):
        for at in range(first, last):
            self.cell[at // self.columns][at % self.columns] = ' '

    def sequence(self, private, numbers, kind):
        n, line = max(numbers[0], 1), self.cell[self.row]
        start, here = self.row * self.columns, self.row * self.columns + self.column
        if private or kind in 'mhlntc':
            pass
        elif kind in 'Hf':
            self.move(n - 1, (numbers + [1])[1] - 1)
        elif kind in 'ABCD':
            self.move(self.row + n * {'A': -1, 'B': 1}.get(kind, 0), self.column + n * {'C': 1, 'D': -1}.get(kind, 0))
        elif kind == 'G':
            self.move(self.row, n - 1)
        elif kind == 'd':
            self.move(n - 1, self.column)
        elif kind == 'J':
            self.erase(*[(here, self.rows * self.columns), (0, here + 1), (0, self.rows * self.columns)][numbers[0]])
        elif kind == 'K':
            self.erase(*[(here, start + self.columns), (start, here + 1), (start, start + self.columns)][numbers[0]])
        elif kind == 'X':
            self.erase(here, min(here + n, start + self.columns))
        elif kind == 'P':
            line[self.column:] = (line[self.column + n:] + [' '] * n)[:self.columns - self.column]
        elif kind == '@':
            line[self.column:] = ([' '] * n + line[self.column:])[:self.columns - self.column]
        elif kind == 'b':
            for _ in range(n):
                self.put(self.last)
        elif kind == 'r':
            self.top, self.bottom = n - 1, (numbers[1] if len(numbers) > 1 else self.rows) - 1
            self.row = self.column = 0
        elif kind in 'LM':
            self.lines(n if kind == 'M' else -n)
        elif kind in 'ST':
            self.scroll(n if kind == 'S' else -n)
        else:
            raise AssertionError(f'an unknown sequence: {numbers} {kind}')
