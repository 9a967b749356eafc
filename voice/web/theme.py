"""How the page looks: a calm theme of indigo (藍), vermilion (朱) and paper (和紙), with fonts of the user's own system."""

from __future__ import annotations

from gradio.themes import Base, Color
from gradio.themes.utils import sizes

INDIGO = Color(
    "#eef3fa", "#dbe6f4", "#bcd0ea", "#92b3db", "#638fc7", "#4371ae", "#335a91", "#2a4975", "#263f61", "#223550", "#141f31",
    name="indigo",
)  # fmt: skip
VERMILION = Color(
    "#fdf3ef", "#fbe3da", "#f6c5b5", "#ef9f87", "#e67356", "#dc5436", "#c83f22", "#a7331d", "#892d1d", "#71291d", "#3d120c",
    name="vermilion",
)  # fmt: skip
INK = Color(
    "#faf9f6", "#f2f0eb", "#e4e1da", "#cdc9c0", "#a09c95", "#77746f", "#585754", "#3f4045", "#272a32", "#1a1d25", "#11141b",
    name="ink",
)  # fmt: skip

FONTS = (
    "Inter",
    "Hiragino Sans",
    "Noto Sans JP",
    "Noto Sans CJK JP",
    "Yu Gothic UI",
    "system-ui",
    "sans-serif",
)


def make_theme() -> Base:
    theme = Base(
        primary_hue=INDIGO,
        secondary_hue=VERMILION,
        neutral_hue=INK,
        radius_size=sizes.radius_lg,
        font=FONTS,
        font_mono=("ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace"),
    )
    return theme.set(
        body_background_fill="*neutral_50",
        body_background_fill_dark="*neutral_950",
        body_text_color="*neutral_800",
        body_text_color_dark="*neutral_100",
        background_fill_primary="white",
        background_fill_primary_dark="*neutral_900",
        background_fill_secondary="*neutral_100",
        background_fill_secondary_dark="*neutral_900",
        block_background_fill="white",
        block_background_fill_dark="*neutral_900",
        block_border_width="1px",
        block_border_color="*neutral_200",
        block_border_color_dark="*neutral_800",
        block_label_background_fill="transparent",
        block_label_background_fill_dark="transparent",
        block_label_border_width="0",
        block_label_text_color="*neutral_600",
        block_label_text_color_dark="*neutral_400",
        block_label_text_weight="500",
        block_shadow="none",
        button_border_width="1px",
        button_primary_background_fill="*primary_600",
        button_primary_background_fill_hover="*primary_700",
        button_primary_background_fill_dark="*primary_500",
        button_primary_background_fill_hover_dark="*primary_400",
        button_primary_text_color="white",
        button_secondary_background_fill="white",
        button_secondary_background_fill_hover="*neutral_100",
        button_secondary_background_fill_dark="*neutral_800",
        button_secondary_background_fill_hover_dark="*neutral_700",
        button_secondary_border_color="*neutral_300",
        button_secondary_border_color_dark="*neutral_700",
        button_cancel_background_fill="*secondary_600",
        button_cancel_background_fill_hover="*secondary_700",
        button_cancel_background_fill_dark="*secondary_600",
        button_cancel_background_fill_hover_dark="*secondary_500",
        button_cancel_text_color="white",
        button_cancel_text_color_dark="white",
        input_background_fill="white",
        input_background_fill_dark="*neutral_900",
        input_border_color="*neutral_300",
        input_border_color_dark="*neutral_700",
        input_border_color_focus="*primary_500",
        input_border_color_focus_dark="*primary_400",
        slider_color="*primary_500",
        color_accent="*primary_500",
        color_accent_soft="*primary_50",
        color_accent_soft_dark="*primary_900",
        border_color_accent_subdued="*primary_100",
        border_color_accent_subdued_dark="*primary_800",
        border_color_primary="*neutral_200",
        border_color_primary_dark="*neutral_800",
    )
