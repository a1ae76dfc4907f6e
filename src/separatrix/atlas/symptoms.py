"""What users see, in their words; studies are found by it, and so are they from the findings of a diagnosis.

A symptom's sentence says what it looks like. ``FINDINGS`` names the symptoms that a finding of the diagnosis stands for.
"""

SYMPTOMS = {
    "cycles": "Losses swing and players chase each other without settling.",
    "slow spiral": "Training approaches its end point, but only after very many turns around it.",
    "divergence": "Parameters or losses grow without bound.",
    "mode collapse": "The generator covers a part of the data only.",
    "vanishing gradients": "The generator stops learning because the discriminator is too sure.",
    "wrong equilibrium": "Training settles, but where some player could still gain.",
    "team games": "Several players share an objective against others.",
    "rejected log-probability falls faster": "In preference optimisation the rejected answer loses more than the chosen one gains.",
    "chosen log-probability falls": "In preference optimisation even the preferred answer becomes less likely.",
    "distillation does not converge": "A student that learns on its own data keeps wandering.",
    "not a gradient": "The update is the gradient of no objective: its Jacobian is not symmetric.",
    "eigenvalues that do not converge": "A spectrum from data contains eigenvalues that are not there.",
    "slow convergence": "A method needs more steps the worse the problem is conditioned.",
    "saddle": "Training stalls for long and then goes on.",
    "too many products": "A matrix is known only through expensive products.",
    "memorisation": "Samples repeat the training data.",
    "high variance": "An estimate of a normalising constant or expectation scatters over orders of magnitude.",
    "poor samples": "Samples of a trained generator lie off the data.",
    "noise hides structure": "A fit follows the noise; bumps appear that are not there.",
    "unknown dimension": "How many parameters does a family of outputs really have?",
    "which critical points": "Where are the minima, saddles and maxima of a network, exactly?",
    "narrow passages": "A planner finds one way round and misses the others.",
    "adversarial examples": "A change nobody sees flips the answer of a classifier.",
    "misaligned curves": "Two signals or shapes differ by timing only.",
    "depth or width": "Would a deeper network do with fewer parameters?",
    "residual without error bar": "The residual of a physics-informed network is small, but is the solution right?",
}

FINDINGS = {
    "undamped-rotation": ("cycles", "slow spiral"),
    "unconfirmed-rotation": ("cycles", "slow spiral"),
    "step-beyond-limit": ("divergence",),
    "growing-mode": ("saddle",),
    "far-from-best-response": ("wrong equilibrium", "mode collapse"),
    "not-a-gradient": ("not a gradient",),
    "conflicting-objectives": ("not a gradient",),
    "mode-collapse": ("mode collapse",),
    "critic-too-strong": ("vanishing gradients",),
    "critic-dead": ("vanishing gradients",),
    "critic-too-weak": ("poor samples",),
    "critic-overfits": ("memorisation",),
}
