"""Seconds as people say them: rounded where they are an estimate or a sum, spelled out where a person waits for them."""


def rounded(seconds: float) -> str:
    """45 s, 12 min, 3.4 h, 5 days: seconds up to a minute and a half, minutes up to an hour and a half, hours up to three days."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 3 * 86400 else f"{seconds / 86400:.0f} days"


def spelled_out(seconds: float) -> str:
    """8.4 s, 12 s, 3 min 20 s, 2 h 5 min."""
    if seconds < 60:
        return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
