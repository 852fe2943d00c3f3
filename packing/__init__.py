"""How the project is packed: what pip runs to make a wheel or an editable install of it."""
