"""Works that findings and pages cite by key, as one line each."""

from __future__ import annotations

import re
from collections.abc import Iterable

WORKS = {
    "balduzzi2018": "Balduzzi, Racanière, Martens, Foerster, Tuyls, Graepel: The Mechanics of n-Player Differentiable "
    "Games. ICML 2018.",
    "berard2020": "Berard, Gidel, Almahairi, Vincent, Lacoste-Julien: A Closer Look at the Optimization Landscapes of "
    "Generative Adversarial Networks. ICLR 2020.",
    "cohen2021": "Cohen, Kaur, Li, Kolter, Talwalkar: Gradient Descent on Neural Networks Typically Occurs at the Edge "
    "of Stability. ICLR 2021.",
    "cohen2022": "Cohen, Ghorbani, Krishnan, Agarwal, Medapati, Badura, Suo, Cardoze, Nado, Dahl, Gilmer: Adaptive "
    "Gradient Methods at the Edge of Stability. arXiv:2207.14484, 2022.",
    "gidel2019": "Gidel, Berard, Vignoud, Vincent, Lacoste-Julien: A Variational Inequality Perspective on Generative "
    "Adversarial Networks. ICLR 2019.",
    "gidel2019negative": "Gidel, Askari Hemmat, Pezeshki, Le Priol, Huang, Lacoste-Julien, Mitliagkas: Negative Momentum "
    "for Improved Game Dynamics. AISTATS 2019.",
    "grnarova2019": "Grnarova, Levy, Lucchi, Perraudin, Goodfellow, Hofmann, Krause: A Domain Agnostic Measure for "
    "Monitoring and Evaluating GANs. NeurIPS 2019.",
    "kingma2015": "Kingma, Ba: Adam: A Method for Stochastic Optimization. ICLR 2015.",
    "korpelevich1976": "Korpelevich: The extragradient method for finding saddle points and other problems. Matecon 12, "
    "1976.",
    "mescheder2017": "Mescheder, Nowozin, Geiger: The Numerics of GANs. NeurIPS 2017.",
    "mescheder2018": "Mescheder, Geiger, Nowozin: Which Training Methods for GANs do actually Converge? ICML 2018.",
    "polyak1964": "Polyak: Some methods of speeding up the convergence of iteration methods. USSR Computational "
    "Mathematics and Mathematical Physics 4(5), 1964.",
}
# What the pictures of every page rest on.
ALWAYS = ("mescheder2017", "cohen2022", "korpelevich1976")


def cited(sources: Iterable[str]) -> dict[str, str]:
    """The works whose ``[key]`` or ``[key, place]`` stands in the sources, with those every page rests on, by key."""
    keys = {key for source in sources for key in re.findall(r"\[([a-z]+\d{4}\w*)", source)}
    return {key: WORKS[key] for key in sorted((keys & set(WORKS)) | set(ALWAYS))}
