#!/bin/sh
# Changes the volume by voice, through PipeWire's wpctl. Needs kwsd and wpctl.
kwsd listen --keyword up --keyword down | while read -r time keyword score; do
    echo "$time $keyword ($score)"
    case $keyword in
        up) wpctl set-volume @DEFAULT_AUDIO_SINK@ 10%+ ;;
        down) wpctl set-volume @DEFAULT_AUDIO_SINK@ 10%- ;;
    esac
done
