"""Explore: slide threshold and Q, and see accuracy against size and time, each point a file."""

from ui.explore import arrival, page
from ui.parts import controls, frame, training
from ui.state import view

frame.require_router()

frame.choose_network()
view.show_complaints()
looking_at = view.current()
view.publish()
network = training.network_or_progress(looking_at.dataset, looking_at.model)

controls.drop_unknown_layers(network)
arrival.begin_within_budget(network)
controls.apply_switch(network)
view.publish()

controls.recipe_controls(network, view.current().recipe)
page.show(network, frame.network_title(looking_at.dataset, looking_at.model))
