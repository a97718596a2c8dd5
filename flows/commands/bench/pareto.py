"""F1 against CPU time as an SVG picture, time on a logarithmic axis: up and to the left is better."""

from html import escape
from math import ceil, floor, log10

WIDTH, HEIGHT = 640, 360
LEFT, RIGHT, TOP, BOTTOM = 60, 110, 20, 45


def pareto(points: dict[str, tuple[float, float]]) -> str:
    """`points`: name -> (CPU seconds for 1,000 pages, F1)."""
    seconds, f1s = zip(*points.values(), strict=True)
    first, last = floor(log10(min(seconds))), max(ceil(log10(max(seconds))), floor(log10(min(seconds))) + 1)
    low, high = floor(min(f1s) * 20) / 20, min(1.0, ceil(max(f1s) * 20 + 0.2) / 20)

    def x(value: float) -> float:
        return float(LEFT + (WIDTH - LEFT - RIGHT) * (log10(value) - first) / (last - first))

    def y(value: float) -> float:
        return float(HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (value - low) / (high - low))

    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="13">']
    parts.append(f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>')
    for power in range(first, last + 1):
        at = x(float(10**power))
        parts.append(f'<path d="M{at:.1f} {TOP}V{HEIGHT - BOTTOM}" stroke="#ddd"/>')
        parts.append(f'<text x="{at:.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{10.0**power:g}</text>')
    for step in range(round(low * 20), round(high * 20) + 1):
        at = y(step / 20)
        parts.append(f'<path d="M{LEFT} {at:.1f}H{WIDTH - RIGHT}" stroke="#ddd"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{at + 4:.1f}" text-anchor="end">{step / 20:.2f}</text>')
    parts.append(
        f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 8}" text-anchor="middle">CPU seconds for 1,000 pages</text>'
    )
    parts.append(
        f'<text x="16" y="{(TOP + HEIGHT - BOTTOM) / 2}" text-anchor="middle" transform="rotate(-90 16 {(TOP + HEIGHT - BOTTOM) / 2})">F1</text>'
    )
    for name, (cost, f1) in points.items():
        parts.append(f'<circle cx="{x(cost):.1f}" cy="{y(f1):.1f}" r="6" fill="#1f7a4d"/>')
        parts.append(f'<text x="{x(cost) + 11:.1f}" y="{y(f1) + 4:.1f}">{escape(name)} {f1:.3f}</text>')
    return "\n".join([*parts, "</svg>", ""])
