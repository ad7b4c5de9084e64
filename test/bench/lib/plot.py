"""Growth as curves: lines of the result that name one, each with its place on the x axis. As text for the terminal, and
as one SVG with all of them below each other."""
import math
from xml.sax.saxutils import escape

from table import bars

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 640, 200, 60, 20, 30, 30


def curves(lines):
    """{name: [(x, line)]} in the order of x."""
    found = {}
    for line in lines:
        if line.curve:
            found.setdefault(line.curve[0], []).append((line.curve[1], line))
    return {name: sorted(points, key=lambda p: p[0]) for name, points in found.items() if len(points) > 1}


def text(lines):
    return "\n\n".join(f"{name}\n" + bars([(f"{x:g}", line.median) for x, line in points])
                       for name, points in curves(lines).items())


def ends(values):
    return min(values), max(values)


class Chart:
    """One curve: medians with their spread, and the bound they have to keep, if there is one. x is logarithmic."""

    def __init__(self, name, points, top):
        self.name, self.points, self.top = name, points, top
        self.low, self.high = ends([math.log2(1 + x) for x, _ in points])
        bounds = [bound for _, line in points for bound in (line.least, line.most) if bound is not None]
        self.bound = bounds[0] if bounds else None
        self.most = max([v for _, line in points for v in line.values] + bounds) * 1.1 or 1

    def x(self, value):
        return LEFT + (WIDTH - LEFT - RIGHT) * (math.log2(1 + value) - self.low) / (self.high - self.low or 1)

    def y(self, value):
        return self.top + TOP + (HEIGHT - TOP - BOTTOM) * (1 - value / self.most)

    def text(self, x, y, content, anchor="middle"):
        return f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}">{escape(content)}</text>'

    def rule(self, x1, y1, x2, y2, look):
        return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" {look}/>'

    def parts(self):
        yield self.text(LEFT, self.top + 18, self.name, "start")
        for value in (0, self.most / 2, self.most):
            yield self.rule(LEFT, self.y(value), WIDTH - RIGHT, self.y(value), 'stroke="#ddd"')
            yield self.text(LEFT - 6, self.y(value) + 4, f"{value:.3g}", "end")
        if self.bound is not None:
            yield self.rule(LEFT, self.y(self.bound), WIDTH - RIGHT, self.y(self.bound), 'stroke="#c00" stroke-dasharray="4"')
        for x, line in self.points:
            low, high = ends(line.values)
            yield self.text(self.x(x), self.top + HEIGHT - 12, f"{x:g}")
            yield self.rule(self.x(x), self.y(low), self.x(x), self.y(high), 'stroke="#8ac" stroke-width="4"')
        path = " ".join(f"{self.x(x):.1f},{self.y(line.median):.1f}" for x, line in self.points)
        yield f'<polyline points="{path}" fill="none" stroke="#036" stroke-width="2"/>'


def svg(lines):
    """"" when no line belongs to a curve."""
    charts = [Chart(name, points, n * HEIGHT) for n, (name, points) in enumerate(curves(lines).items())]
    size = f'width="{WIDTH}" height="{len(charts) * HEIGHT}"'
    body = "\n".join(part for chart in charts for part in chart.parts())
    return (f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="12">\n'
            f'<rect width="100%" height="100%" fill="#fff"/>\n{body}\n</svg>\n') if charts else ""
