"""The benchmark's chart: for each workload a bar per guest system, its time as a multiple of native, log scale."""
import math

COLORS = {"plex86": "#1b7837", "emulate": "#7fbf7b", "qemu": "#b2182b", "bochs": "#999999"}
BAR, GAP, LEFT, RIGHT, TOP = 9, 7, 130, 70, 56
PLOT = 620


def draw(summary, systems):
    guests = [s for s in systems if s != "native"]
    rows = [(name, {s: row[s] / row["native"] for s in guests if row.get(s) and row.get("native")})
            for name, row in summary["rows"].items()]
    rows = [r for r in rows if r[1]]
    most = max((v for _, ratios in rows for v in ratios.values()), default=10)
    least = min((v for _, ratios in rows for v in ratios.values()), default=1)
    low = 10 ** math.floor(math.log10(min(least, 1)))
    high = 10 ** math.ceil(math.log10(max(most, 10)))

    def x(value):
        return LEFT + PLOT * math.log(value / low) / math.log(high / low)

    height = TOP + len(rows) * (len(guests) * BAR + GAP) + 20
    svg = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{LEFT + PLOT + RIGHT}" height="{height}" '
           'font-family="sans-serif" font-size="11">',
           '<rect width="100%" height="100%" fill="white"/>',
           f'<text x="{LEFT}" y="16" font-size="13">CPU time as a multiple of native (logarithmic; shorter is better)</text>']
    for i, system in enumerate(guests):
        svg.append(f'<rect x="{LEFT + i * 100}" y="24" width="10" height="10" fill="{COLORS.get(system, "#555555")}"/>'
                   f'<text x="{LEFT + i * 100 + 14}" y="33">{system}</text>')
    tick = low
    while tick <= high * 1.001:
        svg.append(f'<line x1="{x(tick):.1f}" y1="{TOP - 6}" x2="{x(tick):.1f}" y2="{height - 16}" '
                   f'stroke="{"#888888" if abs(tick - 1) < 1e-9 else "#dddddd"}"/>'
                   f'<text x="{x(tick):.1f}" y="{height - 4}" text-anchor="middle">{tick:g}</text>')
        tick *= 10
    y = TOP
    for name, ratios in rows:
        svg.append(f'<text x="{LEFT - 6}" y="{y + len(guests) * BAR / 2 + 4:.1f}" text-anchor="end">{name}</text>')
        for system in guests:
            if system in ratios:
                x0, x1 = sorted((x(1), x(ratios[system])))
                svg.append(f'<rect x="{x0:.1f}" y="{y}" width="{max(x1 - x0, 1):.1f}" height="{BAR - 1}" '
                           f'fill="{COLORS.get(system, "#555555")}"/>'
                           f'<text x="{x1 + 3:.1f}" y="{y + BAR - 1}" font-size="9">{ratios[system]:.3g}</text>')
            y += BAR
        y += GAP
    svg.append("</svg>\n")
    return "\n".join(svg)
