"""Configuration: frozen structs and strict parsing with positions. Pure, knows no other room but errors."""
